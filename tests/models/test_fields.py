"""What of an item's or a profile's fields a model reads, and as what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.models.fields import Fields, as_words, fit, values_of

FILMS: list[dict[str, Any]] = [
    {
        "title": f"film {k}",
        "genre": ["drama", "comedy"][k % 2],
        "themes": ["sea", "war"][: k % 3],
        "year": 1980 + k,
        "adult": k % 4 == 0,
        "rare": "same" if k < 4 else None,
        "stars": 5,
    }
    for k in range(40)
]


def test_shared_words_are_tags_numbers_are_numbers_and_all_else_is_text_alone() -> None:
    found = fit(FILMS)
    assert found.tags == {
        "genre": {"comedy": 1, "drama": 2},
        "themes": {"sea": 3, "war": 4},
        "adult": {"false": 5, "true": 6},
    }
    assert list(found.numbers) == ["year"]  # a number that never differs says nothing
    assert found.numbers["year"][0] == 1980
    assert found.numbers["year"][-1] == 2019
    assert found.numbers["year"] == sorted(found.numbers["year"])
    assert found.tag_ids == 6


def test_values_are_read_by_their_ids_and_what_was_not_there_is_not_read() -> None:
    found = fit(FILMS)
    rows = found.tag_rows(
        [
            {"genre": "drama", "themes": ["war", "sea", "war", 7], "adult": True},
            {"genre": " comedy ", "themes": "opera", "city": "Aachen"},
            {"genre": None, "themes": {"sea": 1}, "adult": "yes"},
            {},
        ]
    )
    assert rows.tolist() == [[2, 4, 3, 6], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    numbers = found.number_rows([{"year": 2000}, {"year": "2000"}, {"year": True}, {}])
    assert numbers[0].tolist() == [2000.0]
    assert np.isnan(numbers[1:]).all()


def test_of_nobody_and_of_nothing_there_are_no_rows() -> None:
    assert fit(FILMS).tag_rows([]).shape == (0, 1)
    assert Fields().tag_rows([{"genre": "drama"}]).tolist() == [[0]]
    assert Fields().number_rows([{"year": 1}, {}]).shape == (2, 0)
    assert Fields().brought_rows([{"v": [1.0]}]).shape == (1, 0)
    assert fit([]) == Fields()


def test_ids_are_the_same_each_time_and_do_not_depend_on_the_order_of_items() -> None:
    assert fit(FILMS) == fit(FILMS)
    assert fit(FILMS).tags == fit(FILMS[::-1]).tags


def test_a_field_most_of_whose_words_are_unique_is_text_alone() -> None:
    mostly = [{"name": "shared" if k < 10 else f"own {k}"} for k in range(40)]
    assert fit(mostly).tags == {}
    assert fit(mostly[:20]).tags == {"name": {"shared": 1}}  # half of what is said is shared


def test_few_must_share_a_value_before_it_is_read() -> None:
    assert fit([{"genre": "drama"}] * 4).tags == {}
    assert fit([{"genre": "drama"}] * 5).tags == {"genre": {"drama": 1}}


def test_hidden_fields_are_not_looked_at() -> None:
    assert "genre" not in fit(FILMS, hidden=["genre"]).tags


def test_brought_vectors_come_at_length_one_and_those_of_a_wrong_length_are_zero() -> None:
    vectors = [{"image": [3.0, 4.0], "sound": [2.0]}, {"image": [1.0, 0.0]}, {"image": [1.0, 2.0, 3.0]}, {}]
    found = fit([{}] * 4, vectors)
    assert found.brought == {"image": 2, "sound": 1}
    rows = found.brought_rows([*vectors, {"image": [0.0, 0.0], "other": [1.0]}])
    np.testing.assert_allclose(rows, [[0.6, 0.8, 1], [1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]], atol=1e-6)


def test_the_numbers_of_a_profile_are_words() -> None:
    profiles = [{"household": k % 3, "pet": "cat", "member": k % 2 == 0} for k in range(30)]
    found = fit([as_words(one) for one in profiles])
    assert found.numbers == {}
    assert {name: list(ids) for name, ids in found.tags.items()} == {
        "household": ["0", "1", "2"],
        "pet": ["cat"],
        "member": ["False", "True"],
    }
    assert found.tag_rows([as_words({"household": 1, "member": True})]).tolist() == [[2, 6]]


HUGE = [10**400, -(10**400), 1e300, -1e300, float("inf"), float("nan")]


@pytest.mark.parametrize("huge", HUGE, ids=lambda huge: f"{str(huge)[:5]}")
def test_a_number_beyond_all_numbers_is_read_without_harm(huge: float) -> None:
    found = fit([*FILMS, {"year": huge}])
    assert np.isfinite(found.numbers["year"]).all()
    assert found.number_rows([{"year": huge}]).dtype == np.float32
    assert not np.isinf(np.array(found.numbers["year"], np.float32)).any()


def test_numbers_that_float32_cannot_tell_apart_are_no_knots() -> None:
    close = [{"sent": 1_700_000_000 + k, "seen": 1_700_000_000 + 1000 * k} for k in range(40)]
    found = fit(close)
    assert list(found.numbers) == ["seen"]
    assert (np.diff(np.array(found.numbers["seen"], np.float32)) > 0).all()


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)


@given(fields=st.lists(st.dictionaries(st.sampled_from("abc"), HOSTILE, max_size=3), max_size=12))
@settings(max_examples=100)
def test_whatever_a_catalogue_holds_can_be_read(fields: list[dict[str, Any]]) -> None:
    found = fit(fields * 5)
    tags, numbers = found.tag_rows(fields), found.number_rows(fields)
    assert len(tags) == len(numbers) == len(fields)
    assert tags.max(initial=0) <= found.tag_ids
    ids = [number for values in found.tags.values() for number in values.values()]
    assert ids == list(range(1, found.tag_ids + 1))
    assert all(values_of(value) == values_of(value) for one in fields for value in one.values())
