"""One dial, the rest derived; refused by name where it cannot be."""

from __future__ import annotations

import pytest

from penchant.errors import InvalidInput, Unavailable
from penchant.learning import recipe as recipes
from penchant.learning.recipe import MOST_STATE, SIZES, check_memory, derive, memory_bytes


@pytest.mark.parametrize("size", SIZES)
def test_a_size_gives_the_same_recipe_each_time(size: str) -> None:
    assert derive(size) == derive(size)
    assert derive(size).size == size


def test_larger_sizes_are_larger() -> None:
    needed = [memory_bytes(derive(size), items=10_000, text_dim=384, events=10**6) for size in SIZES]
    assert needed == sorted(needed)
    assert len({(derive(size).dim, derive(size).width) for size in SIZES}) == 3


def test_what_is_changed_stands_before_what_is_derived() -> None:
    assert derive("small", width=32, seed=7) == recipes.Recipe(size="small", dim=64, width=32, state=64, seed=7)
    assert derive("small", repeats=0.5, hide_seen=True).hide_seen


def test_where_people_repeat_themselves_what_was_seen_is_not_hidden() -> None:
    assert derive("small", repeats=0.04).hide_seen
    assert not derive("small", repeats=0.06).hide_seen


@pytest.mark.parametrize("size", ["", "Small", "huge"])
def test_an_unknown_size_is_refused_by_name(size: str) -> None:
    with pytest.raises(InvalidInput, match="no such size") as refused:
        derive(size)
    assert (refused.value.field, refused.value.value) == ("size", repr(size))
    assert "small, medium, large" in refused.value.way_out


@pytest.mark.parametrize("changed", [{"widht": 3}, {"epochs": "many"}, {"epochs": 0}, {"blocks": 0}, {"dropout": 1.0}])
def test_a_part_that_there_is_not_or_cannot_be_is_refused_by_name(changed: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as refused:
        derive("small", **changed)
    assert refused.value.field in changed


def test_more_memory_than_is_free_is_refused_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "_available", lambda: 2**30)
    check_memory(2**30, "medium")
    with pytest.raises(Unavailable, match=r"about 2\.0 GB, 1\.0 GB are free") as refused:
        check_memory(2**31, "medium")
    assert "--size small" in refused.value.way_out


def test_where_the_free_memory_is_not_known_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "_available", lambda: None)
    check_memory(2**60, "medium")


def test_more_items_and_events_need_more_memory() -> None:
    few = memory_bytes(derive("small"), 1000, 0, 1000)
    assert few < memory_bytes(derive("small"), 100_000, 0, 1000) < memory_bytes(derive("small"), 100_000, 384, 1000)
    assert few < memory_bytes(derive("small"), 1000, 0, 10**7)


@pytest.mark.parametrize(("size", "blocks"), [("small", 2), ("medium", 2), ("medium", 3), ("large", 4)])
def test_however_many_blocks_a_state_stays_within_its_4_kilobytes(size: str, blocks: int) -> None:
    assert derive(size, blocks=blocks).state * blocks <= MOST_STATE


def test_few_events_go_into_small_batches_so_that_an_epoch_has_steps_enough() -> None:
    assert [derive("small", events=events).tokens for events in (100, 50_000, 10**7)] == [256, 500, 8192]
    assert derive("small", events=100, tokens=64).tokens == 64
