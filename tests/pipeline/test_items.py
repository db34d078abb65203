"""From fields to vectors: templates, the queue of texts, brought vectors, and languages the encoder cannot read."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from penchant import Event, Query
from penchant.engine import Engine
from penchant.errors import InvalidInput
from penchant.models.cold_start import brought_projection
from penchant.pipeline.items import ALONE, ItemTexts, render
from penchant.storage.catalogue import Catalogue, Row
from tests.chinese_encoder import bge_small_zh_or_skip
from tests.conftest import NOW, OpenEngine, ask, circle, click, item, names

# -- the text of an item -----------------------------------------------------------------------------------------------

FILM = {"title": " Alien ", "year": 1979, "genres": ["Horror", "Sci-Fi"], "adult": False, "codes": [1, 2], "none": None}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", "Alien. Horror, Sci-Fi"),
        ("{title} ({year}). {genres}", "Alien  (1979). Horror, Sci-Fi"),
        ("{title}{missing}", "Alien"),
        ("plain", "plain"),
        ("{{title}}", "{title}"),
    ],
)
def test_fields_become_text(template: str, text: str) -> None:
    assert render(template, FILM) == text


@pytest.mark.parametrize("template", ["{title", "{}", "{title.year.x}", "{title!z}", "{0}"])
def test_a_broken_template_is_refused_with_the_way_to_write_it(template: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        render(template, {"title": "Alien"})
    assert refused.value.field == "template"
    assert "{title}" in refused.value.way_out


def test_with_a_broken_template_an_item_is_still_taken_and_the_engine_says_so(open_engine: OpenEngine) -> None:
    engine = open_engine(template="{title")
    engine.ingest([item("x", 1.0, title="Alien")])
    assert names(engine.search(Query(words="alien", time=NOW))) == ["x"]
    assert any("template" in warning for warning in engine.warnings)


# -- the queue ---------------------------------------------------------------------------------------------------------


class Held:
    """A queue whose thread stops before it places what it read, until it is let go."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.placed: list[Row] = []
        self.texts = ItemTexts(None, catalogue, self.place)

    def place(self, rows: list[Row], vectors: np.ndarray) -> None:
        assert len(rows) == len(vectors)
        self.begun.set()
        assert self.go_on.wait(30)
        self.placed += [rows[place] for place in self.texts.still_wanted(rows)]

    def hold(self, *rows: Row) -> None:
        """Submit rows and wait until the thread has them in hand."""
        self.texts.submit(rows)
        assert self.begun.wait(30)

    def finish(self) -> list[str]:
        self.go_on.set()
        self.texts.wait()
        return [row.text for row in self.placed]


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    catalogue = Catalogue(tmp_path)
    made = Held(catalogue)
    yield made
    made.go_on.set()
    made.texts.close()
    catalogue.close()


def row(item: int, text: str) -> Row:
    return Row(item, {}, text, {}, True, 0.0)


def bulk(count: int) -> list[Row]:
    return [row(100 + k, f"bulk {k}") for k in range(count)]


def test_what_was_sent_alone_is_read_before_what_was_sent_in_bulk(held: Held) -> None:
    held.hold(row(0, "first"))
    held.texts.submit(bulk(ALONE + 1))
    held.texts.submit([row(1, "alone")])
    assert held.finish()[:2] == ["first", "alone"]


def test_an_item_edited_while_its_bulk_waits_ends_with_the_edit(held: Held) -> None:
    held.hold(row(0, "first"))
    held.texts.submit(bulk(ALONE + 1))
    held.texts.submit([row(100, "edited")])
    read = held.finish()
    assert "edited" in read
    assert "bulk 0" not in read


def test_an_item_edited_while_it_is_read_ends_with_the_edit(held: Held) -> None:
    held.hold(row(0, "old"))
    held.texts.submit([row(0, "new")])
    assert held.finish() == ["new"]


def test_what_is_taken_out_of_the_queue_is_not_read_again(held: Held) -> None:
    held.hold(row(0, "in hand"))
    held.texts.submit([row(1, "waits"), row(2, "stays")])
    assert [one.text for one in held.texts.pending([0, 1, 7])] == ["in hand", "waits"]
    assert held.texts.backlog == 1
    assert held.finish() == ["stays"]


def test_waiting_tells_how_much_is_left(held: Held) -> None:
    held.hold(*bulk(40))
    threading.Timer(0.3, held.go_on.set).start()
    left: list[int] = []
    held.texts.wait(left.append)
    assert left
    assert left == sorted(left, reverse=True)


def test_an_event_that_fills_a_ring_waits_for_no_thread(engine: Engine) -> None:
    """Its checkpoint needs the item's vector now, even while the thread that reads holds it."""
    with engine.lock:  # the thread may read, but not place
        engine.ingest([item("i0", 1.0, 0.0)])
        engine.ingest([click("ann", "i0", NOW - 100 + k) for k in range(100)])
        assert engine.parts.states.store.checkpoint[0].any()


# -- vectors -----------------------------------------------------------------------------------------------------------


def test_brought_vectors_alone_make_items_recommendable(engine: Engine) -> None:
    engine.ingest([*circle(12), click("ann", "i3")])
    engine.wait_for_items()
    assert set(names(ask(engine, "ann", limit=2))) == {"i2", "i4"}
    assert ask(engine, "ann").items[0].features["text"] == pytest.approx(math.cos(math.tau / 12), abs=1e-3)


def test_the_length_of_a_brought_vector_does_not_matter(engine: Engine) -> None:
    engine.ingest([item("short", 0.001, 0.002), item("long", 1e9, 2e9), item("zero", 0.0, 0.0)])
    engine.wait_for_items()
    short, long_, zero = engine.parts.index.vector[:3]
    np.testing.assert_allclose(short, long_, atol=1e-5)
    assert np.linalg.norm(long_) == pytest.approx(1.0, abs=1e-5)
    assert not zero.any()


def test_vectors_of_two_names_and_the_text_count_alike(open_reading_engine: OpenEngine) -> None:
    engine = open_reading_engine()
    engine.ingest(
        [
            item("text", title="a storm at sea"),
            Event(kind="item", item="all", fields={"title": "a storm at sea"},
                  vectors={"image": [3.0, 4.0], "sound": [1.0]}, time=NOW),
        ]
    )  # fmt: skip
    engine.wait_for_items()
    text, both = engine.parts.index.vector[:2]
    image, sound = ([3.0, 4.0] @ brought_projection("image", 2)) / 5.0, brought_projection("sound", 1)[0]
    expected = text + image + sound
    np.testing.assert_allclose(both, expected / np.linalg.norm(expected), atol=1e-5)


def test_a_text_is_read_once_however_many_items_hold_it(open_reading_engine: OpenEngine) -> None:
    engine = open_reading_engine()
    engine.ingest([item(f"i{k}", title=f"text {k % 2}") for k in range(6)])
    engine.ingest([item("i0", title="text 0", year=1999)])
    engine.wait_for_items()
    kept = engine.parts.catalogue._db.execute("SELECT count(*) FROM texts").fetchone()[0]
    assert kept == 2
    np.testing.assert_array_equal(engine.parts.index.vector[0], engine.parts.index.vector[4])


def test_a_new_item_is_in_lists_for_those_it_is_like(open_reading_engine: OpenEngine) -> None:
    engine = open_reading_engine()
    engine.ingest(
        [
            item("sea1", title="a voyage across the ocean, whales and sailors"),
            item("cook1", title="recipes for bread and cake"),
            item("cook2", title="a baker and his oven"),
            click("ann", "sea1"),
        ]
    )
    engine.ingest([item("sea2", title="ships in a storm on the ocean", time=NOW - 86_400)])
    engine.wait_for_items()
    assert names(ask(engine, "ann"))[0] == "sea2"


# -- languages ---------------------------------------------------------------------------------------------------------

CHINESE = {
    "sea": "海洋与航海的故事，水手和鲸鱼",
    "ship": "暴风雨中的轮船在海上航行",
    "bread": "面包和蛋糕的烘焙食谱",
    "oven": "面包师和他的烤箱",
}


def test_an_encoder_that_cannot_read_the_catalogue_is_named_with_the_setting(
    open_reading_engine: OpenEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine = open_reading_engine()
    engine.ingest([item("english", title="an English title")])
    engine.wait_for_items()
    assert engine.warnings == []
    engine.ingest([item(name, title=text) for name, text in CHINESE.items()])
    engine.wait_for_items()
    (warning,) = engine.warnings
    assert "set `encoder` in penchant.toml" in warning
    assert "all-MiniLM-L6-v2" in warning
    assert len([record for record in caplog.records if "unknown to the encoder" in record.message]) == 1


def test_a_chinese_world_is_read_by_a_chinese_encoder(open_engine: OpenEngine) -> None:
    engine = open_engine(encoder=str(bge_small_zh_or_skip()))
    engine.ingest([item(name, title=text) for name, text in CHINESE.items()])
    engine.wait_for_items()
    engine.ingest(
        [click("ann", "sea"), click("bob", "oven"), Event(user="cyd", action="search", words="蛋糕", time=NOW)]
    )
    assert engine.warnings == []
    assert names(ask(engine, "ann"))[0] == "ship"
    assert names(ask(engine, "bob"))[0] == "bread"
    assert names(ask(engine, "cyd"))[0] == "bread"
    assert names(engine.search(Query(words="轮船", time=NOW)))[0] == "ship"
