"""What moved a score, and what two items share: tables and fields of a few lines."""

from __future__ import annotations

import numpy as np
import pytest

from penchant.pipeline.explanation import Rescored, effects, held, rank, shared, title


def rescored() -> Rescored:
    """Three candidates, of which the last two are listed; as is, without the newest event, without earlier history."""
    scores = np.array([[5.0, 3.0, 4.0], [5.0, 1.0, 4.5], [5.0, 3.0, 4.0]], np.float32)
    terms = np.array([[[2, 1], [3, 1]], [[2, -1], [3, 1.5]], [[2, 1], [3, 1]]], np.float32)
    return Rescored(("text", "transitions"), scores, terms)


def test_an_effect_is_the_score_with_the_event_minus_the_score_without_it() -> None:
    found = effects(rescored(), np.array([1, 2]))
    np.testing.assert_array_equal(found.score, [[2.0, -0.5], [0.0, 0.0]])
    assert found.through[0].tolist() == [1, 1]  # both by what followed, once up and once down
    assert [found.strongest_first(k).tolist() for k in (0, 1)] == [[0], [0]]
    assert (found.told(0, 0), found.told(1, 0)) == (2.0, 0.0)


def test_what_is_noise_is_not_said_to_have_moved_anything() -> None:
    few = rescored()
    few.scores[1] = few.scores[0] + 1e-6
    assert effects(few, np.array([1, 2])).strongest_first(0).tolist() == []


def test_a_rank_counts_what_may_be_shown_and_gives_ties_to_the_smaller_item() -> None:
    scores, items = np.array([5.0, 3.0, 3.0, 4.0], np.float32), np.array([9, 8, 7, 6])
    shown = np.array([False, True, True, True])
    assert [rank(scores, shown, items, place) for place in range(4)] == [1, 3, 2, 1]


@pytest.mark.parametrize(
    ("fields", "named", "called"),
    [
        ({"genre": "Horror", "title": "Alien", "year": 1979}, "", "Alien (1979)"),
        ({"title": "Blade Runner 2049", "year": 2049}, "", "Blade Runner 2049"),
        ({"title": "Alien", "year": "1979"}, "", "Alien"),
        ({"title": "Alien", "original": "外星人"}, "original", "外星人"),
        ({"headline": "Rain is over", "body": "..."}, "", "Rain is over"),
        ({"gender": "women", "label": "Coat"}, "", "Coat"),
        ({"title": " ", "price": 3}, "", None),
    ],
)
def test_an_item_is_called_by_its_title(fields: dict[str, object], named: str, called: str | None) -> None:
    assert title(fields, named) == called


def test_two_items_share_values_and_words_of_titles() -> None:
    alien = {"title": "Alien Romulus", "genres": ["Horror", "Sci-Fi"], "brand": "Fox", "price": 3, "url": "http://x"}
    aliens = {
        "title": "The alien returns",
        "genres": ["Sci-Fi", "Action"],
        "brand": "Fox",
        "price": 3,
        "url": "http://x",
    }
    assert shared(alien, aliens) == {"genres": ["Sci-Fi"], "brand": ["Fox"], "title": ["Alien"]}


def test_one_value_and_a_list_of_them_are_compared_alike() -> None:
    one, other = {"title": "Alien", "genre": "Horror"}, {"title": "Jaws", "genre": ["Horror"]}
    assert shared(one, other) == shared(other, one) == {"genre": ["Horror"]}
    long = {"text": "x" * 61}
    assert shared(one | long, other | long) == {"genre": ["Horror"]}  # it names nothing


def test_common_words_are_not_what_titles_share() -> None:
    assert shared({"title": "The Night of it"}, {"title": "The Day of it"}) == {}


def test_chinese_titles_share_runs_of_signs() -> None:
    one, other = {"title": "流浪地球", "类型": ["科幻"]}, {"title": "流浪地球2：再见", "类型": ["科幻", "灾难"]}
    assert shared(one, other) == {"类型": ["科幻"], "title": ["流浪地球"]}
    assert shared({"title": "你好"}, {"title": "好人"}) == {}


@pytest.mark.parametrize("name", ["gender", "Date of birth", "sexual-orientation"])
def test_sensitive_fields_are_never_named(name: str) -> None:
    assert shared({name: "the same"}, {name: "the same"}) == held({name: "the same"}, "the same") == {}


def test_an_item_holds_words_that_were_typed() -> None:
    fields = {"title": "Space Horror", "tags": ["deep space", "x"], "year": 1979, "about": "太空恐怖片"}
    assert held(fields, "a horror in space") == {"title": ["horror", "space"], "tags": ["space"]}
    assert held(fields, "太空电影") == {"about": ["太空"]}
