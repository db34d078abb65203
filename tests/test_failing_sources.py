"""A source of candidates that fails costs its candidates, and not the list; hard rules hold all the same."""

from __future__ import annotations

import logging
from typing import Any, NoReturn

import pytest

from penchant import Query
from penchant.engine import Engine
from penchant.pipeline.retrieval import Retrieval
from penchant.storage.catalogue import Catalogue
from penchant.storage.counts import Counts
from penchant.storage.item_index import ItemIndex
from tests.conftest import NOW, OpenEngine, ask, circle, click, item, names

_NOTE = "the source {} failed, and the list was made without it; the server's log says why."
BREAK = {
    "dense": (ItemIndex, "nearest"),
    "popular": (Counts, "most_popular"),
    "counts": (Retrieval, "_gathered"),
    "words": (Catalogue, "search"),
}


@pytest.fixture
def engine(engine: Engine) -> Engine:
    engine.ingest(circle(12))
    engine.wait_for_items()
    engine.ingest([click(f"p{k}", f"i{(k + turn) % 12}", NOW - 99 + turn) for k in range(4) for turn in range(3)])
    engine.ingest([click("ann", "i3", NOW)])
    return engine


def fail(*words: Any) -> NoReturn:
    raise RuntimeError("out of order")


@pytest.mark.parametrize("source", ["dense", "popular", "counts"])
def test_a_list_is_made_without_a_source_that_fails_and_says_so(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, source: str
) -> None:
    whole = ask(engine, "ann", filter='not title == "item 4"')
    with monkeypatch.context() as broken:
        broken.setattr(*BREAK[source], fail)
        with caplog.at_level(logging.ERROR, "penchant"):
            lists = [ask(engine, "ann", filter='not title == "item 4"') for _ in range(3)]
    for slate in lists:
        assert slate.notes == [_NOTE.format(source)]
        assert slate.items
        assert set(names(slate)) <= set(names(whole))
        assert not {"i3", "i4"} & set(names(slate))
        assert all(source not in one.sources for one in slate.items)
    assert [record.getMessage() for record in caplog.records] == [f"the source {source} failed; lists go on without it"]
    assert ask(engine, "ann", filter='not title == "item 4"') == whole


def test_a_search_goes_on_with_what_words_mean_where_they_cannot_be_looked_up(
    open_reading_engine: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_reading_engine()
    titles = {"moon": "A lonely astronaut on the moon", "paris": "Two lovers in Paris", "heat": "Bank robbers"}
    engine.ingest([item(name, title=title) for name, title in titles.items()])
    engine.wait_for_items()
    search = Query(words="space travel", time=NOW + 60)
    monkeypatch.setattr(*BREAK["words"], fail)
    slate = engine.search(search)
    assert names(slate)[0] == "moon"
    assert slate.notes == [_NOTE.format("words")]
    monkeypatch.undo()
    monkeypatch.setattr(*BREAK["dense"], fail)
    slate = engine.search(Query(words="lovers", time=NOW + 60))
    assert names(slate) == ["paris"]
    assert slate.notes == [_NOTE.format("dense")]


def test_given_items_are_put_into_order_whatever_fails(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*BREAK["counts"], fail)
    slate = engine.rank(["i1", "i5"], Query(user="ann", time=NOW + 60))
    assert sorted(names(slate)) == ["i1", "i5"]
    assert "counts" in slate.notes[0]
