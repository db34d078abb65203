"""Why items stand in lists: worlds so small that every effect is known, and lists that are told of later."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.removing import compared
from penchant import Condition, Event, InvalidInput, Pin, Policy, Promotion, Query, Reason, Slate
from penchant.engine import Engine
from penchant.explaining import LAST
from penchant.kernels import RING
from penchant.models.cold_start import FAST, FAST_SHARE, SLOW
from penchant.models.versions import use_version
from tests.conftest import NOW, OpenEngine, ask, circle, click, names

CINEMA = ("Horror", "Sci-Fi"), ("Drama",), ("Horror",)


def cinema() -> list[Event]:
    """Twelve films on a circle."""
    films = circle(12)
    for k, film in enumerate(films):
        film.fields |= {"title": f"Film {k}", "year": 1980 + k, "genres": list(CINEMA[k % 3])}
    return films


@pytest.fixture
def engine(open_engine: OpenEngine) -> Engine:
    """Films that nobody has met so far: only what they are about counts."""
    return with_films(open_engine())


def with_films(engine: Engine) -> Engine:
    engine.ingest(cinema())
    engine.wait_for_items()
    return engine


def why(engine: Engine, user: str | None = "ann", *, limit: int = 5, **more: Any) -> dict[str, Reason]:
    """Reasons by item."""
    return reasons(ask(engine, user, limit=limit, explain=True, **more))


def reasons(slate: Slate) -> dict[str, Reason]:
    return {one.item: one.reason for one in slate.items if one.reason is not None}


def text_term(*met: int, item: int) -> float:
    """1.5 times the cosine of what somebody is about who met these films of the circle, and a film of it, by hand."""
    fast = sum((FAST ** (len(met) - 1 - j) * np.exp(1j * math.tau * k / 12) for j, k in enumerate(met)), 0j)
    slow = sum((SLOW ** (len(met) - 1 - j) * np.exp(1j * math.tau * k / 12) for j, k in enumerate(met)), 0j)
    about = FAST_SHARE * fast / abs(fast) + (1 - FAST_SHARE) * slow / abs(slow)
    return float(1.5 * (about / abs(about) * np.exp(-1j * math.tau * item / 12)).real)


# -- effects -----------------------------------------------------------------------------------------------------------


def test_effects_are_as_computed_by_hand(engine: Engine) -> None:
    engine.parts.counts.frozen = True  # nothing follows anything: the vectors alone speak
    engine.ingest([click("ann", "i0", NOW, id="first"), click("ann", "i3", NOW + 1, id="second")])
    for name, reason in why(engine).items():
        k = int(name[1:])
        effect = {one.event: one.effect for one in reason.moved}
        assert effect["first"] == pytest.approx(text_term(0, 3, item=k) - text_term(3, item=k), abs=1e-5)
        assert effect["second"] == pytest.approx(text_term(0, 3, item=k) - text_term(0, item=k), abs=1e-5)
        assert {one.through for one in reason.moved} == {"text"}
        assert [abs(one.effect) for one in reason.moved] == sorted(map(abs, effect.values()), reverse=True)


def test_without_the_strongest_event_an_item_would_stand_elsewhere(engine: Engine) -> None:
    engine.parts.counts.frozen = True
    engine.ingest([click("ann", "i0", NOW), click("ann", "i4", NOW + 1)])
    found = why(engine, limit=10)
    assert [reason.rank for reason in found.values()] == list(range(1, 11))
    # i5 is beside i4, and i0 far away. Without i4, i0 and i4 stay hidden, as candidates are what they are.
    nearer = [k for k in range(1, 12) if k != 4 and text_term(0, item=k) > text_term(0, item=5) + 1e-6]
    assert (found["i5"].moved[0].item, found["i5"].rank_without) == ("i4", 1 + len(nearer))


def test_whoever_is_not_known_has_no_events_that_moved_anything(engine: Engine) -> None:
    engine.ingest([click("bob", f"i{k}", NOW - 60) for k in (1, 2)])
    for user in (None, "nobody"):
        for reason in why(engine, user).values():
            assert (reason.moved, reason.earlier, reason.rank_without) == ([], 0.0, None)


def test_the_first_event_of_all_is_what_moved_everything(engine: Engine) -> None:
    engine.ingest([click("ann", "i0", id="only")])
    slate = ask(engine, "ann", limit=3, explain=True)
    (newcomers,) = ({one.item: one.score for one in ask(engine, None).items},)
    for one in slate.items:
        assert one.reason is not None
        (moved,) = one.reason.moved
        assert (moved.event, moved.title) == ("only", "Film 0 (1980)")
        assert moved.effect == pytest.approx(one.score - newcomers[one.item], abs=1e-5)


def test_beyond_the_last_events_the_rest_is_earlier_history(engine: Engine) -> None:
    engine.ingest([click("ann", f"i{k % 3}", NOW - 900 + k, id=f"e{k}") for k in range(LAST + 5)])
    for reason in why(engine).values():
        named = {one.event for one in reason.moved}
        assert named <= {f"e{k}" for k in range(5, LAST + 5)}
        assert len(named) > LAST // 2
        assert abs(reason.earlier) > 1e-4
    engine.ingest([click("bob", f"i{k % 3}", NOW - 900 + k) for k in range(LAST)])
    assert {reason.earlier for reason in why(engine, "bob").values()} == {0.0}


@pytest.mark.parametrize("lived", [RING - 2, RING + 10])
def test_effects_of_a_trained_version_are_what_the_score_loses(trained: Path, lived: int) -> None:
    use_version(trained / "versions", "0002")
    with Engine.open(trained) as engine:
        engine.wait_for_items()
        assert engine.parts.version.trained
        more = [click("ann", f"i{3 * k % 40}", NOW + 10**6 + 60 * k, value=3.0) for k in range(lived)]
        engine.ingest(more)
        for user in ("ann", "u7"):
            query = Query(user=user, time=NOW + 2 * 10**6, limit=4, seen="allow", explain=True)
            found = list(compared(engine, query, engine.recommend(query)))
            assert max(abs(one.measured) for one in found) > 0.01
            for one in found:
                assert one.stated == pytest.approx(one.measured, abs=1e-4)


def test_an_event_in_the_list_again_is_told_by_what_was_done_with_it(open_engine: OpenEngine) -> None:
    engine = with_films(open_engine(weights={"again": 9.0}))
    engine.ingest([click("ann", "i7", NOW, action="buy"), click("ann", "i1", NOW + 1)])
    reason = why(engine, seen="allow")["i7"]
    assert (reason.moved[0].item, reason.moved[0].through) == ("i7", "again")
    assert reason.text == "Because you bought Film 7 (1987)."


# -- which events ------------------------------------------------------------------------------------------------------


def test_what_was_retracted_or_erased_is_never_named(engine: Engine) -> None:
    engine.ingest([click("ann", f"i{k}", NOW + k, id=f"e{k}") for k in range(3)])
    engine.ingest([Event(kind="retraction", target="e1", user="ann", time=NOW + 9)])
    assert {one.event for reason in why(engine).values() for one in reason.moved} == {"e0", "e2"}
    engine.ingest([Event(kind="erasure", user="ann", time=NOW + 10)])
    assert not any(reason.moved for reason in why(engine).values())


def test_what_a_session_did_is_the_persons_after_a_login(engine: Engine) -> None:
    engine.ingest([click("session", "i2", NOW, id="before"), click("ann", "i5", NOW + 1, id="after")])
    engine.ingest([Event(kind="alias", session="session", user="ann", time=NOW + 2)])
    assert {one.event for reason in why(engine).values() for one in reason.moved} == {"before", "after"}


def test_words_that_were_typed_are_events_too(open_reading_engine: OpenEngine) -> None:
    engine = open_reading_engine()
    for name, title in (
        ("rain", "Rain over the quiet harbour"),
        ("war", "Tanks at dawn"),
        ("cook", "Bread and butter"),
    ):
        engine.ingest([Event(kind="item", item=name, fields={"title": title}, time=NOW - 9)])
    engine.wait_for_items()
    engine.ingest([Event(user="ann", action="search", words="a quiet harbour", time=NOW, id="typed")])
    (first, *_) = ask(engine, "ann", explain=True).items
    assert first.reason is not None
    (moved,) = first.reason.moved
    assert (first.item, moved.event, moved.words, moved.item) == ("rain", "typed", "a quiet harbour", None)
    assert moved.shared == {"title": ["quiet", "harbour"]}
    assert first.reason.text == "Because you searched for “a quiet harbour”: its title has “quiet” and “harbour”."
    chinese = why(engine, language="zh")["rain"]
    assert chinese.text == "因为您搜索过“a quiet harbour”：标题有“quiet”、“harbour”。"


# -- lists -------------------------------------------------------------------------------------------------------------


def test_a_list_that_is_explained_is_the_list_that_is_not(engine: Engine) -> None:
    engine.ingest([click(f"p{k}", f"i{(k + turn) % 12}", NOW - 99 + turn) for k in range(4) for turn in range(3)])
    policy = Policy(diversity=0.3, pins=(Pin("i6", 2),), promotions=(Promotion(filter="year > 1985", boost=0.5),))
    for more in ({}, {"policy": policy}, {"where": "genres=Horror"}, {"seen": "allow"}):
        plain, told = (ask(engine, "p1", limit=4, explain=explain, **more) for explain in (False, True))
        assert all(one.reason is None for one in plain.items)
        assert len(reasons(told)) == len(told.items) > 0
        for one in told.items:
            one.reason = None
        assert told == plain


def test_what_a_promotion_adds_stays_and_counts_in_the_rank(engine: Engine) -> None:
    engine.ingest([click("ann", "i0")])
    policy = Policy(promotions=(Promotion(filter='"Drama" in genres', boost=100.0),))
    found = why(engine, limit=12, policy=policy)
    assert (
        {found[f"i{k}"].rank for k in (1, 4, 7, 10)}
        == {found[f"i{k}"].rank_without for k in (1, 4, 7, 10)}
        == {1, 2, 3, 4}
    )
    pinned = why(engine, limit=2, policy=Policy(pins=(Pin("i6", 1),)))["i6"]
    assert (pinned.text, pinned.rank) == ("Placed here by this site.", 11)


def test_similar_items_are_told_by_the_item_that_was_asked_with(engine: Engine) -> None:
    engine.ingest([click("ann", "i5")])
    slate = engine.similar("i3", Query(user="ann", time=NOW + 60, limit=12, explain=True))
    assert slate.like == "i3"
    like = reasons(slate)["i9"]
    assert (like.about, like.shared, like.moved) == (
        "Film 3 (1983)",
        {"genres": ["Horror", "Sci-Fi"], "title": ["Film"]},
        [],
    )
    assert like.text == "Like Film 3 (1983): both are Horror and Sci-Fi."


def test_a_search_is_told_by_its_words_and_by_what_the_person_did(engine: Engine) -> None:
    engine.ingest([click("ann", "i5", id="five")])
    query = Query(user="ann", words="drama", time=NOW + 60, limit=4, explain=True)
    for reason in reasons(engine.search(query)).values():
        assert (reason.about, reason.text) == ("drama", "Its genres has “drama”.")
        assert [(one.event, one.through) for one in reason.moved] == [("five", "personal")]


def test_a_language_other_than_english(engine: Engine) -> None:
    engine.parts.counts.frozen = True
    engine.ingest([click("ann", "i0", action="like")])
    found = why(engine, language="zh")
    assert found["i11"].text == "因为您赞过《Film 0 (1980)》：同属Horror。"


def test_an_action_is_worded_by_the_settings(open_engine: OpenEngine) -> None:
    engine = with_films(open_engine(actions={"stream": {"weight": 1.0, "said": {"en": "streamed"}}}))
    engine.parts.counts.frozen = True
    engine.ingest([click("ann", "i0", action="stream")])
    assert why(engine)["i11"].text == "Because you streamed Film 0 (1980): both are Horror."


def test_a_long_list_is_not_explained(engine: Engine) -> None:
    with pytest.raises(InvalidInput, match="at most 100"):
        engine.recommend(Query(limit=101, explain=True))


def test_an_empty_list_has_no_reasons(engine: Engine) -> None:
    engine.ingest([click("ann", "i0")])
    assert engine.recommend(Query(user="ann", where=(Condition("genres", "Western"),), explain=True)).items == []


# -- lists of before ---------------------------------------------------------------------------------------------------


def shown(engine: Engine, **more: Any) -> Slate:
    return ask(engine, "ann", limit=4, track=True, explain=True, **more)


def test_a_kept_list_is_explained_as_it_was_while_nothing_else_happens(engine: Engine) -> None:
    engine.ingest([click(f"p{k}", f"i{(k + turn) % 12}", NOW - 99 + turn) for k in range(4) for turn in range(3)])
    engine.ingest([click("ann", f"i{k}", NOW + k) for k in (0, 5)])
    asked = {"user": "ann", "time": NOW + 60, "track": True, "explain": True, "limit": 4}
    lists = [
        shown(engine),
        shown(engine, policy=Policy(promotions=(Promotion(filter="year > 1985", boost=0.5),))),
        engine.similar("i3", Query(**asked)),  # type: ignore[arg-type]
        engine.search(Query(words="drama", **asked)),  # type: ignore[arg-type]
        engine.rank(["i7", "i2"], Query(**asked)),  # type: ignore[arg-type]
    ]
    for slate in lists:
        again = engine.slate(slate.id or "", explain=True)
        assert names(again.slate) == names(slate)
        for name, reason in reasons(again.slate).items():
            before = reasons(slate)[name]
            assert (reason.text, reason.about, reason.shared) == (before.text, before.about, before.shared)
            assert reason.as_of == engine.parts.as_of
            assert [one.event for one in reason.moved] == [one.event for one in before.moved]
            for one, told in zip(reason.moved, before.moved, strict=True):
                assert one.effect == pytest.approx(told.effect, abs=1e-5)
        assert engine.slate(slate.id or "").slate.items[0].reason is None  # nothing of it was kept


def test_later_a_list_is_explained_by_what_had_happened_then_and_still_stands(engine: Engine) -> None:
    engine.ingest([click("ann", f"i{k}", NOW + k, id=f"e{k}") for k in range(3)])
    slate = shown(engine)
    engine.ingest([click("ann", "i7", NOW + 61, id="later"), Event(kind="item", item=names(slate)[0], removed=True)])
    engine.ingest([Event(kind="retraction", target="e1", user="ann", time=NOW + 62)])
    found = reasons(engine.slate(slate.id or "", explain=True, language="zh").slate)
    assert {one.event for reason in found.values() for one in reason.moved} == {"e0", "e2"}
    assert all(reason.text.startswith("因为您") for reason in found.values())


def test_a_list_of_a_session_is_told_by_the_sessions_events_alone(engine: Engine) -> None:
    engine.ingest([click("ann", "i2", NOW, id="session's"), click("eve", "i5", NOW + 1, id="eve's")])
    slate = shown(engine)
    engine.ingest([Event(kind="alias", session="ann", user="eve", time=NOW + 70)])
    found = reasons(engine.slate(slate.id or "", explain=True).slate)
    assert {one.event for reason in found.values() for one in reason.moved} == {"session's"}
