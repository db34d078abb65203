"""Ratings of given items before anything was trained: by people who rated alike, in the real engine."""

from __future__ import annotations

import pytest

from penchant import Event, Query
from penchant.engine import Engine
from tests.conftest import NOW, circle, click, crash_image


def rate(user: str, item: int, stars: float, **more: object) -> Event:
    return click(user, f"i{item}", NOW - 100, action="rate", value=stars, **more)


@pytest.fixture
def engine(engine: Engine) -> Engine:
    engine.ingest(circle(8))
    engine.wait_for_items()
    tastes = {"ann": 0, "bob": 0, "cid": 1, "dan": 1}
    engine.ingest([rate(user, k, 5.0 if k % 2 == odd else 1.0) for user, odd in tastes.items() for k in range(6)])
    engine.ingest([rate("bob", 6, 5.0, id="bob's"), rate("cid", 6, 1.0)])
    return engine


def stars(engine: Engine, user: str | None, *items: int) -> dict[str, float | None]:
    slate = engine.rank([f"i{k}" for k in items], Query(user=user, time=NOW))
    return {one.item: one.rating for one in slate.items}


def test_people_of_like_taste_foretell_a_rating_at_once(engine: Engine) -> None:
    ann, dan = stars(engine, "ann", 6)["i6"], stars(engine, "dan", 6)["i6"]
    assert ann is not None
    assert dan is not None
    assert ann > 3.0 > dan
    assert stars(engine, None, 6)["i6"] == pytest.approx(3.0)
    engine.ingest([Event(kind="retraction", target="bob's", time=NOW)])
    assert (stars(engine, "ann", 6)["i6"] or 0.0) < ann


def test_every_item_has_its_own_whatever_the_order_of_the_list(engine: Engine) -> None:
    together = stars(engine, "ann", *range(8))
    assert together == {f"i{k}": stars(engine, "ann", k)[f"i{k}"] for k in range(8)}


def test_a_value_that_is_no_rating_says_nothing(engine: Engine) -> None:
    before = stars(engine, "ann", *range(8))
    engine.ingest([click("bob", "i7", NOW, value=1000.0)])
    assert stars(engine, "ann", *range(8)) == pytest.approx(before)


def test_where_nobody_rated_there_are_no_ratings(open_engine: object) -> None:
    engine = open_engine("unrated")  # type: ignore[operator]
    engine.ingest([*circle(3), click("ann", "i1")])
    assert stars(engine, "ann", 0, 1) == {"i0": None, "i1": None}


def test_after_a_restart_and_after_a_kill_ratings_are_as_they_were(engine: Engine, tmp_path: object) -> None:
    lived = stars(engine, "ann", *range(8))
    image = crash_image(engine.parts.folder, tmp_path / "image")  # type: ignore[operator]
    engine.close()
    for folder in (engine.parts.folder, image):
        with Engine.open(folder, encoder="none") as again:
            assert stars(again, "ann", *range(8)) == pytest.approx(lived)
