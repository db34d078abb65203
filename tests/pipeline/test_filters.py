"""Conditions over item fields: how they are written, what meets them, and masks that follow the catalogue."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import InvalidInput
from penchant.expressions import TRUE, Not, Tree, resolved, truth
from penchant.expressions import parse as parse_rule
from penchant.pipeline.filters import Filters, meets, parse
from penchant.storage.catalogue import Row
from penchant.types import Condition
from tests.test_expressions import any_leaves, grown, names, values


def row(item: int, **fields: Any) -> Row:
    return Row(item, fields, "", {}, True, 0.0)


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("genre=Comedy", Condition("genre", equals="Comedy")),
        (" genre = Film Noir ", Condition("genre", equals="Film Noir")),
        ("year=1990..1999", Condition("year", low=1990.0, high=1999.0)),
        ("year=1990..", Condition("year", low=1990.0)),
        ("price=..9.5", Condition("price", high=9.5)),
        ("title=a=b", Condition("title", equals="a=b")),
    ],
)
def test_a_condition_is_read_as_it_is_written(text: str, condition: Condition) -> None:
    assert parse(text) == condition


@pytest.mark.parametrize("text", ["", "genre", "=Comedy", "genre=", "year=old..new", "year=..", "year=.. "])
def test_what_is_no_condition_is_refused_with_the_way_to_write_it(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(text)
    assert refused.value.field == "where"
    assert "Write FIELD=" in refused.value.way_out


@pytest.mark.parametrize(
    ("condition", "value", "met"),
    [
        (Condition("f", equals="a"), "a", True),
        (Condition("f", equals="a"), "b", False),
        (Condition("f", equals="a"), ["b", "a"], True),
        (Condition("f", equals="a"), [], False),
        (Condition("f", equals="a"), None, False),
        (Condition("f", equals="1979"), 1979, True),
        (Condition("f", equals="1979"), 1979.0, True),
        (Condition("f", equals="0.5"), 0.5, True),
        (Condition("f", equals=1979), 1979, True),
        (Condition("f", equals=1979), "1979", False),
        (Condition("f", equals="true"), True, True),
        (Condition("f", equals=True), True, True),
        (Condition("f", equals=True), "True", True),
        (Condition("f", equals=True), 1, False),
        (Condition("f", equals=1), True, False),
        (Condition("f", equals="none"), None, False),
        (Condition("f", low=1.0, high=2.0), 1, True),
        (Condition("f", low=1.0, high=2.0), 2.0, True),
        (Condition("f", low=1.0, high=2.0), 2.1, False),
        (Condition("f", low=1.0), 1e9, True),
        (Condition("f", high=1.0), -math.inf, True),
        (Condition("f", low=0.0), "1", False),
        (Condition("f", low=0.0), True, False),
        (Condition("f", low=0.0), math.nan, False),
        (Condition("f", low=2.0, high=1.0), 1.5, False),
    ],
)
def test_what_meets_a_condition(condition: Condition, value: Any, met: bool) -> None:
    assert meets(condition, {"f": value}) is met
    assert meets(condition, {"g": value}) is False


@pytest.mark.parametrize("condition", [Condition("f"), Condition("f", equals=1, low=0.0)])
def test_a_condition_needs_either_a_value_or_a_range(condition: Condition) -> None:
    with pytest.raises(InvalidInput, match="either a value or a range"):
        Filters(list).allowed([condition], 1)


def test_without_conditions_there_is_no_mask() -> None:
    assert len(Filters(list).allowed([], 5)) == 0


def test_all_conditions_must_be_met() -> None:
    rows = [row(0, a=1, b=1), row(1, a=1, b=2), row(3, a=2, b=1)]
    allowed = Filters(lambda: rows).allowed([Condition("a", equals=1), Condition("b", equals=1)], 4)
    assert allowed.tolist() == [1, 0, 0, 0]


def test_one_and_true_are_different_conditions() -> None:
    filters = Filters(lambda: [row(0, f=1), row(1, f=True)])
    for _ in range(2):
        assert filters.allowed([Condition("f", equals=True)], 2).tolist() == [0, 1]
        assert filters.allowed([Condition("f", equals=1)], 2).tolist() == [1, 0]


def test_the_catalogue_is_read_once_for_a_condition() -> None:
    reads = []
    filters = Filters(lambda: reads.append(1) or [row(0, f="a")])
    for _ in range(3):
        filters.allowed([Condition("f", equals="a")], 1)
    assert len(reads) == 1


def test_more_conditions_than_are_kept_are_still_answered() -> None:
    filters = Filters(lambda: [row(k, f=k) for k in range(3)])
    for turn in range(600):
        assert filters.allowed([Condition("f", equals=turn)], 3).tolist() == [turn == k for k in range(3)]
    assert filters.allowed([Condition("f", equals=0)], 3).tolist() == [1, 0, 0]


@given(edits=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(("a", "b", ["a", "b"], 3, None))), max_size=20))
@settings(max_examples=50)
def test_a_mask_follows_the_catalogue(edits: list[tuple[int, Any]]) -> None:
    rows: dict[int, Row] = {}
    filters = Filters(lambda: list(rows.values()))
    asked = [Condition("f", equals="a"), Condition("f", low=1.0)]
    for item, value in edits:
        rows[item] = row(item, f=value) if value is not None else row(item)
        filters.changed([rows[item]])
        for condition in asked:
            expected = [item in rows and meets(condition, rows[item].fields) for item in range(10)]
            assert filters.allowed([condition], 10).tolist() == expected


# -- rules -------------------------------------------------------------------------------------------------------------


def rule(text: str, **person: Any) -> Tree:
    return resolved(parse_rule(text), person, {})


def test_a_rule_is_a_mask_beside_the_conditions() -> None:
    filters = Filters(lambda: [row(0, price=1, kids=True), row(1, price=9, kids=True), row(2, kids=True), row(3)])
    assert filters.allowed([], 4, rule("price < 5")).tolist() == [1, 0, 0, 0]
    assert filters.allowed([], 4, rule("not price < 5")).tolist() == [0, 1, 0, 0]
    assert filters.allowed([Condition("kids", equals=True)], 4, rule('"x" not in tags')).tolist() == [1, 1, 1, 0]
    assert filters.allowed([], 4, rule("person.age > 3", age=4)).tolist() == [1, 1, 1, 1]
    assert filters.allowed([], 4, rule("person.age > 3")).tolist() == [0, 0, 0, 0]


def test_a_mask_of_a_rule_follows_the_catalogue() -> None:
    rows = [row(0, price=1)]
    filters = Filters(lambda: rows)
    assert filters.allowed([], 1, rule("price < 5 or not kids")).tolist() == [1]
    filters.changed([row(0, price=9), row(2, kids=False)])
    assert filters.allowed([], 3, rule("price < 5 or not kids")).tolist() == [0, 0, 1]
    filters.changed([row(2)])  # removed
    assert filters.allowed([], 3, rule("price < 5 or not kids")).tolist() == [0, 0, 0]


def test_a_rule_is_followed_however_much_changes_between_two_questions() -> None:
    rows = [row(item, price=item) for item in range(600)]
    filters, asked = Filters(lambda: rows), rule("price < 5 or price > 1000")
    assert filters.allowed([], 600, asked).sum() == 5
    for changed in (3, 599):  # corrected, and built again
        for item in range(changed):
            rows[item] = row(item, price=item + 2000)
        filters.changed(rows[:changed])
        assert filters.allowed([], 600, asked).tolist() == [int(k < changed or k < 5) for k in range(600)]
    for _ in range(200):  # more than is remembered
        filters.changed(rows)
    rows[7] = row(7, price=9)
    filters.changed(rows[7:8])
    assert filters.allowed([], 600, asked).sum() == 598


def test_what_was_met_is_asked_each_time_and_joined_by_the_same_logic() -> None:
    filters = Filters(lambda: [row(0, price=1), row(1, price=9), row(2)])
    asked = []

    def met(seconds: float | None, action: str | None) -> np.ndarray:
        asked.append((seconds, action))
        return np.array([1, 0, 7], np.int32)

    assert filters.allowed([], 3, rule("not seen(1d)"), met).tolist() == [0, 0, 1]
    assert filters.allowed([], 3, rule("seen() and price < 5"), met).tolist() == [1, 0, 0]
    assert filters.allowed([], 3, rule("not (seen('buy') and price < 5)"), met).tolist() == [0, 1, 1]
    assert filters.allowed([], 3, rule("not seen(1d) or price > 5"), met).tolist() == [0, 1, 1]
    assert asked == [(86_400.0, None), (None, None), (None, "buy"), (86_400.0, None)]


@given(
    grown(any_leaves), st.lists(st.dictionaries(names, values), min_size=1, max_size=6), st.dictionaries(names, values)
)
def test_columns_say_of_every_item_what_the_rule_says_of_its_fields(
    tree: Tree, catalogue: list[dict[str, Any]], changed: dict[str, Any]
) -> None:
    rows = [Row(item, fields, "", {}, True, 0.0) for item, fields in enumerate(catalogue)]
    filters, whole = Filters(lambda: rows), resolved(tree, {}, {})

    def wanted() -> list[int]:
        return [int(truth(whole, one.fields) == TRUE) for one in rows]

    assert filters.allowed([], len(rows), whole).tolist() == wanted()
    rows[0] = Row(0, changed, "", {}, True, 0.0)
    filters.changed([rows[0]])
    assert filters.allowed([], len(rows), whole).tolist() == wanted()
    assert filters.allowed([], len(rows), Not(whole)).tolist() == [
        int(truth(Not(whole), one.fields) == TRUE) for one in rows
    ]
