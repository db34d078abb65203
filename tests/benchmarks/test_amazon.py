"""What `make bench-beauty` and `make bench-sports` learn from and ask for."""

from pathlib import Path

import pytest

pytest.importorskip("torch")

from benchmarks.amazon import catalogue, questions, refit
from benchmarks.movielens import some_people


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "items.csv").write_text('item_idx,asin,title\n1,A,"x, y"\n2,B,z\n3,C,\n4,D,w\n', encoding="utf-8")
    (tmp_path / "sequences.txt").write_text("u 1 2 3\nv 2 1 3\nw 3 1 2\nx 1 3 2\n", encoding="utf-8")
    return tmp_path


def test_the_last_item_is_asked_for_and_items_have_their_own_ids(folder: Path) -> None:
    catalogue, trial = questions(folder, 1.0)
    assert [event.item for event in catalogue] == ["A", "B", "C", "D"]
    assert [(event.user, event.item) for event in trial.asked] == [("u", "C"), ("v", "C"), ("w", "B"), ("x", "B")]
    assert [event.item for event in trial.known] == ["B", "A", "A", "C"]


def test_a_refit_learns_the_last_but_one_too_and_asks_the_same(folder: Path) -> None:
    _, trial = questions(folder, 1.0)
    again = refit(trial)
    assert again.asked == trial.asked
    assert not again.known
    for user in "uvwx":
        first, second = [event.item for event in again.learned if event.user == user]
        assert [event.item for event in trial.learned if event.user == user] == [first]
        assert [event.item for event in trial.known if event.user == user] == [second]


def test_a_share_of_the_people_keeps_the_whole_catalogue(folder: Path) -> None:
    catalogue, trial = questions(folder, 0.5)
    assert len(catalogue) == 4
    assert len(trial.asked) == 2
    assert {event.user for event in trial.asked} == some_people(questions(folder, 1.0)[1].events, 0.5)


def test_a_short_phrase_stands_in_for_a_missing_title_and_a_lack_of_both_is_no_field(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text('item_idx,asin,title,short_text\n1,A,"Long, long",long\n2,B,,phrase\n3,C,,\n', encoding="utf-8")
    assert [event.fields for event in catalogue(path)] == [{"title": "Long, long"}, {"title": "phrase"}, {}]
