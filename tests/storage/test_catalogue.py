"""The catalogue: items, profiles, words to search by, and vectors that are read once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.storage.catalogue import Catalogue, Row, bigrams, text_key


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    opened = Catalogue(tmp_path)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    """One for all examples of a property, with an item of everything that means something in a query."""
    opened = Catalogue(tmp_path_factory.mktemp("shared"))
    opened.put([row(0, "AND OR NOT NEAR title: one*")], 1)
    yield opened
    opened.close()


def row(item: int, text: str = "", **fields: object) -> Row:
    return Row(item, dict(fields), text, {}, True, 100.0 + item)


def found(catalogue: Catalogue, words: str, limit: int = 10) -> list[int]:
    return [item for item, _ in catalogue.search(words, limit)]


def test_an_item_is_given_back_as_it_was_put(catalogue: Catalogue) -> None:
    sent = Row(3, {"title": "Amélie", "tags": ["a", "b"], "year": 2001}, "Amélie", {"image": [0.5, -1.0]}, False, 7.5)
    catalogue.put([sent], 1)
    assert catalogue.get(3) == sent
    assert catalogue.get(4) is None


def test_an_item_put_again_is_replaced_in_fields_and_in_words(catalogue: Catalogue) -> None:
    catalogue.put([row(1, "old words", title="old")], 1)
    catalogue.put([row(1, "new words", title="new")], 1)
    assert [one.fields for one in catalogue.rows()] == [{"title": "new"}]
    assert (found(catalogue, "old"), found(catalogue, "new")) == ([], [1])


def test_a_removed_item_is_gone_from_fields_and_from_words(catalogue: Catalogue) -> None:
    catalogue.put([row(1, "one"), row(2, "two")], 1)
    catalogue.remove([1], 2)
    assert [one.item for one in catalogue.rows()] == [2]
    assert found(catalogue, "one two") == [2]


def test_rows_come_in_the_order_of_numbers_however_they_are_paged(catalogue: Catalogue) -> None:
    catalogue.put([row(item) for item in (5, 0, 9, 2, 7)], 1)
    assert [one.item for one in catalogue.rows(batch=2)] == [0, 2, 5, 7, 9]


def test_what_was_put_is_there_after_a_reopening(tmp_path: Path) -> None:
    first = Catalogue(tmp_path)
    first.put([row(1, "storm at sea")], 1)
    first.put_profile(4, {"city": "Aachen"}, 1)
    first.close()
    second = Catalogue(tmp_path)
    assert found(second, "storm") == [1]
    assert second.profile(4) == {"city": "Aachen"}
    second.close()


# -- searching ---------------------------------------------------------------------------------------------------------


def test_the_item_that_holds_more_of_the_words_is_found_first(catalogue: Catalogue) -> None:
    catalogue.put([row(0, "a quiet film"), row(1, "a quiet storm at sea"), row(2, "nothing of it")], 1)
    scored = catalogue.search("quiet storm", 10)
    assert [item for item, _ in scored] == [1, 0]
    assert scored[0][1] > scored[1][1] > 0


def test_case_and_accents_do_not_matter(catalogue: Catalogue) -> None:
    catalogue.put([row(0, "Le Fabuleux Destin d'Amélie")], 1)
    assert found(catalogue, "AMELIE") == found(catalogue, "amélie") == [0]


def test_a_search_gives_as_many_as_it_was_asked_for(catalogue: Catalogue) -> None:
    catalogue.put([row(item, "same words") for item in range(9)], 1)
    assert found(catalogue, "same", limit=4) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("机器", [0]),
        ("学习", [0, 2]),
        ("机器学习", [0, 2]),
        ("日本", [1]),
        ("器学", [0]),
        ("machine", [2]),
        ("红楼", []),
    ],
)
def test_chinese_words_are_found_by_their_pairs(catalogue: Catalogue, words: str, expected: list[int]) -> None:
    catalogue.put([row(0, "机器学习入门"), row(1, "日本の料理"), row(2, "machine 深度学习 2")], 1)
    assert sorted(found(catalogue, words)) == expected


def test_runs_of_chinese_are_cut_into_pairs_and_all_else_is_left() -> None:
    assert bigrams("机器学习 and 猫").split() == ["机器", "器学", "学习", "and", "猫"]
    assert bigrams("plain words") == "plain words"


@given(words=st.text(max_size=30))
@settings(max_examples=200)
def test_whatever_is_typed_a_search_answers(shared: Catalogue, words: str) -> None:
    shared.put([row(1, words.encode("utf-8", "replace").decode())], 1)
    assert set(found(shared, words)) <= {0, 1}


def test_a_very_long_search_answers_too(catalogue: Catalogue) -> None:
    catalogue.put([row(0, "word 7000")], 1)
    assert found(catalogue, " ".join(f"{k}" for k in range(10_000))) == [0]


# -- vectors of texts and profiles -------------------------------------------------------------------------------------


def test_vectors_are_cached_by_encoder_and_text(catalogue: Catalogue) -> None:
    keys = [text_key(encoder, text) for encoder in ("e1", "e2") for text in ("a", "b")]
    assert len(set(keys)) == 4
    catalogue.put_vectors([(keys[0], np.array([1.5, 2.5]))])
    cached = catalogue.vectors(keys)
    assert list(cached) == [keys[0]]
    np.testing.assert_array_equal(cached[keys[0]], np.array([1.5, 2.5], np.float32))


def test_many_vectors_are_read_in_one_call(catalogue: Catalogue) -> None:
    keys = [text_key("e", str(k)) for k in range(1201)]
    catalogue.put_vectors((key, np.array([k], np.float32)) for k, key in enumerate(keys))
    assert {float(vector[0]) for vector in catalogue.vectors(keys).values()} == set(map(float, range(1201)))


def test_a_forgotten_profile_is_empty(catalogue: Catalogue) -> None:
    catalogue.put_profile(1, {"city": "Aachen"}, 1)
    catalogue.put_profile(2, {"city": "Bonn"}, 1)
    catalogue.forget(1, 2)
    assert (catalogue.profile(1), catalogue.profile(2)) == ({}, {"city": "Bonn"})


def test_clearing_keeps_the_vectors_alone(catalogue: Catalogue) -> None:
    catalogue.put([row(1, "words")], 1)
    catalogue.put_profile(1, {"city": "Aachen"}, 1)
    catalogue.put_vectors([(b"key", np.zeros(2))])
    catalogue.clear()
    assert (list(catalogue.rows()), catalogue.profile(1), found(catalogue, "words")) == ([], {}, [])
    assert list(catalogue.vectors([b"key"])) == [b"key"]


def test_a_batch_that_fails_is_not_put_at_all(catalogue: Catalogue) -> None:
    with pytest.raises(UnicodeEncodeError):
        catalogue.put([row(1, "one"), row(2, "half \ud800")], 1)
    assert list(catalogue.rows()) == []
    catalogue.put([row(1, "one")], 1)
    assert found(catalogue, "one") == [1]


# -- what stood before -------------------------------------------------------------------------------------------------


def test_going_back_to_an_offset_undoes_what_came_after_it(catalogue: Catalogue) -> None:
    catalogue.put([row(1, "one", year=1), row(2, "two")], 10)
    catalogue.put_profile(1, {"city": "Aachen"}, 11)
    catalogue.put([row(1, "one again", year=2), row(3, "three")], 20)
    catalogue.put([row(1, "one at last", year=3)], 21)
    catalogue.remove([2], 22)
    catalogue.put_profile(1, {"city": "Bonn"}, 23)
    catalogue.put_profile(2, {"city": "Celle"}, 24)
    catalogue.forget(1, 25)
    for _ in range(2):
        catalogue.rewind(15)
        assert [(one.item, one.fields) for one in catalogue.rows()] == [(1, {"year": 1}), (2, {})]
        assert (found(catalogue, "again"), found(catalogue, "one"), found(catalogue, "two")) == ([], [1], [2])
        assert (catalogue.profiles(), catalogue.profile(1)) == ({1: {"city": "Aachen"}}, {"city": "Aachen"})


def test_what_a_snapshot_covers_is_not_gone_back_beyond(catalogue: Catalogue) -> None:
    catalogue.put([row(1, "one")], 10)
    catalogue.put([row(1, "one again")], 20)
    catalogue.put_profile(4, {"city": "Aachen"}, 20)
    catalogue.keep(15)
    catalogue.put([row(1, "one at last")], 30)
    catalogue.rewind(15)
    assert found(catalogue, "again") == found(catalogue, "last") == []
    assert (found(catalogue, "one"), catalogue.profile(4)) == ([1], {})


def test_of_a_profile_that_is_erased_nothing_comes_back(catalogue: Catalogue) -> None:
    catalogue.put_profile(1, {"city": "Aachen"}, 10)
    catalogue.put_profile(1, {"city": "Bonn"}, 20)
    catalogue.erase(1)
    catalogue.rewind(15)
    assert catalogue.profiles() == {}


def test_an_erased_profile_stands_in_no_file(tmp_path: Path) -> None:
    opened = Catalogue(tmp_path)
    opened.put_profile(1, {"city": "Samarkand"}, 1)
    opened.put_profile(2, {"city": "Isfahan"}, 2)

    def written(city: bytes) -> list[str]:
        return [path.name for path in tmp_path.iterdir() if city in path.read_bytes()]

    assert written(b"Samarkand")
    opened.erase(1)
    assert not written(b"Samarkand")
    assert written(b"Isfahan")
    opened.close()
