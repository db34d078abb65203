"""The pure parts of `make bench-peers`: EASE, where an item stood, who is asked what, paired intervals."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from benchmarks.foreign.ease import ease, weights
from benchmarks.foreign.task import Fitted, Task, places, ranked
from benchmarks.movielens import Split
from benchmarks.peers import PEERS, Found, ahead, compared, gained, grid, is_whole, keep, kept, of_people, task_of
from penchant.types import Event


def task(person: list[int], item: list[int], cut: int, items: int) -> Task:
    count = len(person)
    return Task(np.array(person), np.array(item), np.ones(count), np.arange(count, dtype=float), cut, items)


def rated(user: str, item: str, time: float) -> Event:
    return Event(user=user, action="rate", item=item, value=3.0, time=time)


def test_the_weights_of_ease_are_those_worked_out_by_hand() -> None:
    """X'X = [[2, 1], [1, 1]], ridge 1: P = [[2, -1], [-1, 3]] / 5, so B has 1/3 and 1/2 off its diagonal."""
    found = weights(np.array([[1, 1], [1, 0]], np.float32), 1.0)
    assert np.allclose(found, [[0.0, 1 / 3], [1 / 2, 0.0]])


def test_the_weights_of_ease_are_the_least_squares_of_every_item_on_the_others() -> None:
    random = np.random.default_rng(0)
    matrix = (random.random((30, 6)) < 0.4).astype(np.float32)
    found = weights(matrix, 2.0)
    for item in range(6):
        others = np.delete(matrix, item, 1).astype(np.float64)
        best = np.linalg.solve(others.T @ others + 2.0 * np.eye(5), others.T @ matrix[:, item])
        assert np.allclose(np.delete(found[:, item], item), best)


def test_ease_sums_the_rows_of_the_revealed_history() -> None:
    it = task([0, 0, 1, 1, 2, 0, 0], [0, 1, 0, 2, 1, 2, 3], cut=5, items=4)
    table = weights(np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 0]], np.float32), 1.0)
    first, second = ease(it, 1.0).scores(np.arange(2))
    assert np.allclose(first, table[0] + table[1], atol=1e-6)
    assert np.allclose(second, table[0] + table[1] + table[2], atol=1e-6)


def test_places_leave_out_what_was_met_and_what_nobody_met_before_the_cut() -> None:
    """Person 0 met 0; then asks for 2 (of 1, 2), then for 3, which nobody had met: no place."""
    it = task([0, 1, 1, 0, 0], [0, 1, 2, 2, 3], cut=3, items=4)
    scores = np.array([[9.0, 5.0, 4.0, 8.0], [9.0, 5.0, 4.0, 8.0]], np.float32)
    assert places(it, Fitted(lambda asked: scores[asked], it.in_history())).tolist() == [1, -1]


def test_popularity_answers_for_people_of_whom_a_peer_knows_nothing() -> None:
    it = task([0, 1, 1, 2, 2], [0, 1, 0, 1, 0], cut=3, items=2)
    backwards = np.array([[0.0, 1.0], [0.0, 1.0]], np.float32)
    assert it.in_history().tolist() == [False, True]
    assert it.in_training().tolist() == [False, False]
    assert places(it, Fitted(lambda asked: backwards[asked], it.in_training())).tolist() == [1, 0]


def test_ties_go_to_the_smaller_number() -> None:
    scores = np.array([[1.0, 1.0, 2.0], [1.0, 1.0, 2.0], [1.0, 1.0, -np.inf]], np.float32)
    assert ranked(scores, np.array([0, 1, 2])).tolist() == [1, 2, -1]


def test_a_task_comes_back_from_its_file(tmp_path: Path) -> None:
    it = task([0, 1, 0], [1, 0, 0], cut=2, items=2)
    it.write(tmp_path / "task.npz")
    back = Task.read(tmp_path / "task.npz")
    assert (back.cut, back.items, back.questions) == (2, 2, 1)
    assert back.history(0).tolist() == [1]
    assert back.person.tolist() == [0, 1, 0]


def test_the_questions_of_the_peers_are_the_events_after_the_split_in_their_order() -> None:
    items = [Event(kind="item", item="b"), Event(kind="item", item="a")]
    split = Split(items, [rated("u", "a", 1.0), rated("v", "b", 2.0)], [rated("v", "a", 3.0), rated("u", "b", 4.0)])
    it = task_of(split)
    assert (it.cut, it.items, it.questions) == (2, 2, 2)
    assert it.item.tolist() == [1, 0, 1, 0]
    assert [it.history(question).tolist() for question in (0, 1)] == [[0], [1]]


def test_a_share_of_the_people_is_whole_people_and_the_same_ones_every_time() -> None:
    before = [rated(f"u{k % 20}", "a", k) for k in range(60)]
    after = [rated(f"u{k % 20}", "b", k) for k in range(60, 80)]
    part = of_people(Split([], before, after), 0.25)
    assert part == of_people(Split([], before, after), 0.25)
    people = {event.user for event in part.after}
    assert len(people) == 5
    assert [event for event in before if event.user in people] == part.before


def test_the_interval_of_a_difference_is_paired() -> None:
    """Gains that vary much, but differ by the same everywhere: the interval is that one number."""
    ours = np.random.default_rng(0).random(200)
    row = ahead("v0_ease", ours - (ours - 0.1), np.arange(200) % 40)
    assert [row[f"ahead_v0_ease{end}"] for end in ("", "_low", "_high")] == pytest.approx([0.1, 0.1, 0.1])


def test_a_row_compares_ours_with_every_peer_and_joins_the_seeds() -> None:
    it = task([0, 1, 0, 1], [0, 1, 1, 0], cut=2, items=2)
    told = {"fit_s": 2.0, "rss_mb": 10.0}
    found = {
        "v0": Found(np.array([0, 0]), told),
        "trained-0": Found(np.array([0, -1]), told),
        "trained-1": Found(np.array([-1, -1]), told | {"fit_s": 4.0}),
        "ease": Found(np.array([0, -1]), told),
    }
    row = compared(found, it)
    assert (row["ndcg10_v0"], row["ndcg10_trained"], row["ndcg10_ease"]) == (1.0, 0.25, 0.5)
    assert (row["ahead_v0_ease"], row["ahead_trained_ease"]) == (0.5, -0.25)
    assert (row["fit_s_trained"], row["rss_mb_ease"], row["known"]) == (3.0, 10.0, 1.0)
    assert is_whole(list(PEERS), 1, row)
    assert not is_whole(["ease"], 1, row)
    assert not is_whole(list(PEERS), 0.5, row)
    untrained = compared({name: found[name] for name in ("v0", "ease")}, it)
    assert not is_whole(list(PEERS), 1, untrained)


def test_answers_to_other_questions_are_refused() -> None:
    it = task([0, 1, 0, 1], [0, 1, 1, 0], cut=2, items=2)
    with pytest.raises(ValueError, match="there are 2 questions"):
        gained([Found(np.array([0]), {})], it)


def test_what_ended_is_used_again_for_the_same_commit_share_and_settings_alone(tmp_path: Path) -> None:
    stamp = {"commit": "abc", "share": 1.0, "settings": {"ridge": 1.0}}
    keep(tmp_path, "ease", stamp, Found(np.array([3]), {"fit_s": 1.0}))
    again = kept(tmp_path, "ease", stamp)
    assert again is not None
    assert (again.places.tolist(), again.told) == ([3], {"fit_s": 1.0})
    assert kept(tmp_path, "ease", stamp | {"share": 0.5}) is None
    assert kept(tmp_path, "ease", stamp | {"commit": "abc+dirty"}) is None
    assert kept(tmp_path, "als", stamp) is None


def test_a_grid_holds_all_combinations() -> None:
    assert [dict(one) for one in grid(a=(1, 2), b=(3,))] == [{"a": 1, "b": 3}, {"a": 2, "b": 3}]
