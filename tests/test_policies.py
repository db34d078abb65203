"""Policies through the engine: what is asked for is done, and nothing is shown that may not be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant import Auction, Event, Pin, Policy, Promotion, Query, Slate
from penchant.config import FILE
from penchant.engine import Engine
from penchant.errors import InvalidInput
from tests.conftest import NOW, OpenEngine, ask, circle, click, names


def shop(count: int = 12) -> list[Event]:
    """Items on a circle; three brands in turn, two of the items new."""
    sent = circle(count)
    for k, event in enumerate(sent):
        event.fields |= {"brand": "ABC"[k % 3], "price": float(k), "new": k in (6, 7), "genres": ["all", f"g{k % 2}"]}
    return sent


@pytest.fixture
def engine(open_engine: OpenEngine) -> Engine:
    engine = open_engine()
    engine.ingest(shop())
    engine.wait_for_items()
    engine.ingest([click("ann", "i0", NOW)])
    return engine


def listed(
    engine: Engine, limit: int = 6, user: str | None = "ann", more: dict[str, Any] | None = None, **policy: Any
) -> Slate:
    return ask(engine, user, limit=limit, policy=Policy(**policy), **(more or {}))


def test_a_policy_that_says_nothing_changes_nothing(engine: Engine) -> None:
    assert listed(engine).items == ask(engine, "ann", limit=6).items


def test_diversity_brings_in_what_is_unlike_the_rest(engine: Engine) -> None:
    alike, unlike = names(ask(engine, "ann", limit=3)), names(listed(engine, 3, diversity=0.6))
    assert set(alike[:2]) == {"i1", "i11"}
    assert unlike[0] == alike[0]
    assert set(unlike) & {"i4", "i5", "i6", "i7", "i8"}


def test_scores_are_the_items_own_whatever_the_policy(engine: Engine) -> None:
    plain = {one.item: one.score for one in ask(engine, "ann").items}
    for one in listed(engine, 11, diversity=0.5, stability=0.5, caps={"brand": 2}).items:
        assert one.score == plain[one.item]


def test_a_cap_on_a_field_holds_and_says_what_it_kept_out(engine: Engine) -> None:
    slate = listed(engine, more={"explain_removed": True}, caps={"brand": 1})
    brands = [int(name[1:]) % 3 for name in names(slate)]
    assert sorted(brands) == [0, 1, 2]
    removed = {one.item: one.removed for one in slate.removed or []}
    assert removed["i0"] == "seen"
    assert {why for name, why in removed.items() if name != "i0"} == {"cap"}
    assert not set(removed) & set(names(slate))
    assert len(listed(engine, caps={"genres": 2}).items) == 2  # every item has the genre `all`


def test_a_pinned_item_stands_in_its_slot_with_the_score_it_has(engine: Engine) -> None:
    slate = listed(engine, pins=(Pin("i6", 2), Pin("i5", 4)))
    assert names(slate)[1] == "i6"
    assert names(slate)[3] == "i5"
    assert [one.placed for one in slate.items] == [None, "pinned", None, "pinned", None, None]
    assert len(set(names(slate))) == 6
    assert names(listed(engine, 1, pins=(Pin("i6", 2),))) == names(ask(engine, "ann", limit=1))


def test_a_promotion_lifts_scores_by_a_term_of_its_own(engine: Engine) -> None:
    plain = {one.item: one for one in ask(engine, "ann").items}
    slate = listed(
        engine, 11, promotions=(Promotion(filter="new", boost=0.25), Promotion(filter="price > 6", boost=1.0))
    )
    for one in slate.items:
        price = int(one.item[1:])
        lift = 0.25 * (price in (6, 7)) + 1.0 * (price > 6)
        assert one.terms["promotion"] == one.features["promotion"] == lift
        assert one.score == pytest.approx(plain[one.item].score + lift, abs=1e-6)
        assert one.score == pytest.approx(sum(one.terms.values()), abs=1e-5)
    assert [one.score for one in slate.items] == sorted((one.score for one in slate.items), reverse=True)


def test_at_least_so_many_of_a_promotion_are_shown(engine: Engine) -> None:
    slate = listed(engine, 4, promotions=(Promotion(filter="new", at_least=2),))
    assert names(slate)[:2] == names(ask(engine, "ann", limit=2))
    assert set(names(slate)[2:]) == {"i6", "i7"}
    assert [one.placed for one in slate.items] == [None, None, "promoted", "promoted"]


def test_what_no_source_finds_is_found_for_a_pin_a_promotion_or_a_bid(open_engine: OpenEngine) -> None:
    engine = open_engine("large")
    engine.ingest(shop(900))
    engine.wait_for_items()
    engine.ingest([click("ann", "i0", NOW), *[click(f"u{k}", f"i{k % 200}", NOW) for k in range(400)]])
    far, rule = "i450", "price == 451"
    assert far not in {one.item for one in ask(engine, "ann", limit=1000).items}
    assert names(listed(engine, pins=(Pin(far, 1),)))[0] == far
    assert names(listed(engine, promotions=(Promotion(filter=rule, at_least=1),)))[-1] == "i451"
    buried = listed(engine, more={"explain_removed": True}, promotions=(Promotion(filter=rule, boost=-1.0),))
    assert buried.retrieved == ask(engine, "ann", limit=6).retrieved  # what is pushed down is not looked for
    sponsored = Auction(slots=(3,), bids={far: 1.0, "i451": 0.5})
    slate = listed(engine, sponsored=sponsored)
    assert names(slate)[2] == far
    assert slate.items[2].sources == ["policy"]


def test_a_sponsored_slot_is_labelled_with_what_it_was_won_by(engine: Engine) -> None:
    slate = listed(engine, sponsored=Auction(slots=(2, 5), bids={"i6": 3.0, "i5": 1.0, "i0": 9.0, "nothing": 9.0}))
    won = {one.item: (place, one.sponsorship) for place, one in enumerate(slate.items) if one.placed == "sponsored"}
    assert {name: place for name, (place, _) in won.items()} == {"i6": 1, "i5": 4}  # i0 was seen
    first, second = won["i6"][1], won["i5"][1]
    assert first is not None
    assert second is not None
    assert first.bid == 3.0
    assert first.probability + second.probability == pytest.approx(1.0)
    assert first.price == pytest.approx(second.bid * second.probability / first.probability)
    assert second.price == 0.0
    assert len(set(names(slate))) == 6
    pinned = listed(engine, pins=(Pin("i4", 2),), sponsored=Auction(slots=(2,), bids={"i6": 3.0}))
    assert [one.placed for one in pinned.items][1] == "pinned"


def test_a_list_stays_as_it_was_for_the_same_question(engine: Engine) -> None:
    before = names(listed(engine, 5, stability=1.0))
    engine.ingest([click("ann", "i6", NOW + 1)])
    fresh = names(ask(engine, "ann", limit=5))
    assert fresh != before
    assert names(listed(engine, 5, stability=1.0)) == before
    assert names(listed(engine, 5, stability=0.0)) == fresh
    ruled = names(listed(engine, 5, more={"filter": "price > 2"}, stability=1.0))
    assert ruled == names(ask(engine, "ann", limit=5, filter="price > 2"))  # another question
    assert names(listed(engine, 5, user="bob", stability=1.0)) == names(ask(engine, "bob", limit=5))


def test_a_caller_may_say_which_list_is_to_stay(engine: Engine) -> None:
    assert names(listed(engine, 4, stability=1.0, previous=("i9", "i2", "i0", "nothing")))[:2] == ["i9", "i2"]


def test_what_was_met_since_leaves_a_stable_list(engine: Engine) -> None:
    before = names(listed(engine, 5, stability=1.0))
    engine.ingest([click("ann", before[1], NOW + 1)])
    after = names(listed(engine, 5, stability=1.0))
    assert after[:4] == [before[0], *before[2:]]


def test_an_erased_person_leaves_no_list_behind(engine: Engine) -> None:
    before = names(listed(engine, 5, stability=1.0))
    engine.ingest([Event(kind="erasure", user="ann", time=NOW + 1), click("ann", "i6", NOW + 2)])
    assert names(listed(engine, 5, stability=1.0)) == names(ask(engine, "ann", limit=5)) != before


WISHES = st.fixed_dictionaries(
    {},
    optional={
        "diversity": st.floats(0, 1),
        "stability": st.floats(0, 1),
        "previous": st.lists(st.sampled_from([f"i{k}" for k in range(12)]), max_size=5).map(tuple),
        "caps": st.fixed_dictionaries({"brand": st.integers(1, 4)}),
        "pins": st.lists(st.integers(0, 11), max_size=3, unique=True).map(
            lambda its: tuple(Pin(f"i{k}", 2 * place + 1) for place, k in enumerate(its))
        ),
        "promotions": st.lists(
            st.builds(
                Promotion,
                filter=st.sampled_from(["new", "price < 4", "not new"]),
                boost=st.floats(-2, 2),
                at_least=st.integers(0, 4),
            ),
            max_size=2,
        ).map(tuple),
        "sponsored": st.builds(
            Auction,
            slots=st.sets(st.integers(1, 8), min_size=1, max_size=3).map(tuple),
            bids=st.dictionaries(st.sampled_from([f"i{k}" for k in range(12)]), st.floats(0, 5), max_size=4),
        ),
    },
)


@given(wishes=WISHES, limit=st.integers(1, 12), rule=st.sampled_from([None, "price < 8", "new", "price < 0"]))
def test_no_policy_shows_what_may_not_be_shown(
    world: Engine, wishes: dict[str, Any], limit: int, rule: str | None
) -> None:
    plain = ask(world, "ann", filter=rule, explain_removed=True)
    slate = listed(world, limit, more={"filter": rule, "explain_removed": True}, **wishes)
    shown = names(slate)
    assert set(shown) <= set(names(plain))
    assert len(set(shown)) == len(shown) <= limit
    assert not set(shown) & {one.item for one in slate.removed or []}
    if "caps" not in wishes:
        assert len(shown) == min(limit, len(plain.items))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Engine.open(tmp_path_factory.mktemp("world"), encoder="none") as engine:
        engine.ingest(shop())
        engine.ingest([Event(kind="item", item="i4", available=False, fields={"price": 4.0}, time=NOW)])
        engine.wait_for_items()
        engine.ingest([click("ann", "i0", NOW), click("bob", "i3", NOW)])
        yield engine


def test_what_cannot_be_had_is_said(engine: Engine) -> None:
    slate = listed(engine, pins=(Pin("i0", 1), Pin("nothing", 2)), caps={"brnd": 1}, more={"filter": "price < 100"})
    assert len(slate.items) == 6
    said = " ".join(slate.notes)
    assert "`i0` is not shown: seen." in said
    assert "`nothing` is not shown: no such item was sent." in said
    assert "policy: no item has a field `brnd`; there are title, brand, price, new, genres." in said


def test_a_search_and_the_like_of_an_item_follow_a_policy_too(engine: Engine) -> None:
    policy = Policy(pins=(Pin("i6", 1),), caps={"brand": 1})
    assert names(engine.similar("i3", Query(time=NOW, policy=policy)))[0] == "i6"
    found = names(engine.search(Query(words="item 4", time=NOW, policy=policy)))
    assert found[:2] == ["i6", "i4"]
    assert len(found) == 3


def test_a_ranking_keeps_all_it_is_given(engine: Engine) -> None:
    items = [f"i{k}" for k in range(6)]
    ranked = engine.rank(items, Query(user="ann", time=NOW, policy=Policy(diversity=0.8)))
    assert sorted(names(ranked)) == items
    assert names(ranked) != names(engine.rank(items, Query(user="ann", time=NOW)))
    with pytest.raises(InvalidInput, match=r"policy\.caps.*keeps all it is given"):
        engine.rank(items, Query(user="ann", policy=Policy(caps={"brand": 1})))


def test_the_settings_have_a_policy_for_lists_that_say_nothing(open_engine: OpenEngine, tmp_path: Path) -> None:
    (tmp_path / "standing").mkdir()
    (tmp_path / "standing" / FILE).write_text('[policy]\ncaps = { brand = 1 }\npins = [{ item = "i6", slot = 1 }]\n')
    engine = open_engine("standing")
    engine.ingest(shop())
    engine.wait_for_items()
    assert len(ask(engine, "ann").items) == 3
    assert names(ask(engine, "ann"))[0] == "i6"
    assert len(ask(engine, "ann", policy=Policy(caps={"brand": 2})).items) == 6
    assert len(engine.rank([f"i{k}" for k in range(12)], Query(user="ann", time=NOW)).items) == 12


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        (Policy(diversity=1.5), "policy.diversity=1.5"),
        (Policy(stability=float("nan")), "policy.stability=nan"),
        (Policy(caps={"brand": 0}), "policy.caps.brand=0"),
        (Policy(pins=(Pin("a", 0),)), r"policy.pins\[0\].slot=0"),
        (Policy(pins=(Pin("a", 1), Pin("b", 1))), r"policy.pins\[1\].slot=1"),
        (Policy(pins=(Pin("a", 1), Pin("a", 2))), r"policy.pins\[1\].item='a'"),
        (Policy(promotions=(Promotion(filter="price <"),)), r"policy.promotions\[0\].filter='price <'"),
        (Policy(promotions=(Promotion(filter="new", boost=float("inf")),)), r"policy.promotions\[0\].boost"),
        (Policy(promotions=(Promotion(filter="new", at_least=-1),)), r"policy.promotions\[0\].at_least=-1"),
        (Policy(sponsored=Auction(slots=(), bids={})), "policy.sponsored.slots"),
        (Policy(sponsored=Auction(slots=(0,), bids={})), "policy.sponsored.slots=0"),
        (Policy(sponsored=Auction(slots=(1,), bids={"a": -1.0})), "policy.sponsored.bids.a=-1.0"),
        (Policy(sponsored=Auction(slots=(1,), bids={}, reserve=float("nan"))), "policy.sponsored.reserve=nan"),
        (Policy(previous=("a",) * 1001), "policy.previous=1001"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused_by_its_name(engine: Engine, policy: Policy, field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        engine.recommend(Query(user="ann", policy=policy))


def test_conditions_hold_for_what_is_pinned(engine: Engine) -> None:
    slate = listed(engine, more={"where": "brand=A"}, pins=(Pin("i4", 1), Pin("i3", 2)))
    assert names(slate)[1] == "i3"
    assert set(names(slate)) == {"i3", "i6", "i9"}
    assert slate.notes == ["policy.pins: `i4` is not shown: condition."]
