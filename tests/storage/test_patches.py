"""A patch changes what it names and nothing else, as RFC 7396 says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.storage.log_reading import Logged
from penchant.storage.patches import merged, patched, whole
from penchant.types import Event

JSON = st.recursive(
    st.none() | st.integers(0, 3) | st.text("ab", max_size=1),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [  # RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_the_standard(target: Any, patch: Any, expected: Any) -> None:
    assert merged(target, patch) == expected


@given(target=JSON, patch=JSON)
def test_a_patch_twice_is_a_patch_once_and_changes_neither_of_its_parts(target: Any, patch: Any) -> None:
    before = repr((target, patch))
    once = merged(target, patch)
    assert merged(once, patch) == once
    assert repr((target, patch)) == before


def test_a_patch_leaves_what_it_does_not_name() -> None:
    sent = Event(kind="item", item="x", fields={"title": "old", "year": 1979}, vectors={"v": [1.0]}, available=False)
    patch = Event(kind="item", item="x", patch=True, fields={"title": "new"}, vectors={"w": [2.0]}, time=7.0)
    after = patched(sent, patch)
    assert (after.fields, after.vectors) == ({"title": "new", "year": 1979}, {"v": [1.0], "w": [2.0]})
    assert (after.available, after.patch, after.time) == (False, False, None)
    assert patched(after, Event(kind="item", item="x", patch=True, available=True)).available is True


def item_event(offset: int, item: int, **more: Any) -> Logged:
    return Logged(offset, -1, item, -1, Event(kind="item", item=f"i{item}", **more))


def test_a_log_is_read_as_whole_items_and_a_patch_of_what_is_not_there_is_nothing() -> None:
    logged = [
        item_event(1, 0, patch=True, fields={"price": 1}),
        item_event(2, 0, fields={"title": "a"}),
        item_event(3, 0, patch=True, fields={"price": 2}),
        item_event(4, 1, fields={"title": "b"}),
        item_event(5, 0, removed=True),
        item_event(6, 0, patch=True, fields={"price": 3}),
        item_event(7, 0, fields={"title": "c"}),
        item_event(8, 0, patch=True, fields={"title": None}),
    ]
    expected = [(2, {"title": "a"}), (3, {"title": "a", "price": 2}), (4, {"title": "b"}), (5, {}),
                (7, {"title": "c"}), (8, {})]  # fmt: skip
    for patches in (None, {0}):
        found = list(whole(logged, patches))
        assert [(one.offset, one.event.fields) for one in found] == expected
        assert not any(one.event.patch for one in found)
