"""The nearest items: exact while there are few, found by an index beside a buffer when there are many."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.storage import item_index
from penchant.storage.item_index import Built, ItemIndex

DIM = 64  # the large index cuts a vector into 64 parts


def unit(seed: int, count: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def filled(vectors: np.ndarray) -> ItemIndex:
    index = ItemIndex(DIM)
    index.ensure(len(vectors))
    index.place(np.arange(len(vectors)), vectors)
    return index


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> ItemIndex:
    """An index beyond the size of the exact product, which stands at 500 here."""
    monkeypatch.setattr(item_index, "EXACT", 500)
    monkeypatch.setattr(item_index, "BUFFER", 50)
    index = filled(unit(0, 1500))
    index.wait()
    return index


@given(count=st.integers(1, 300), limit=st.integers(1, 300), seed=st.integers(0, 99))
@settings(max_examples=50)
def test_among_few_items_the_nearest_are_exact(count: int, limit: int, seed: int) -> None:
    vectors, asked = unit(seed, count), unit(seed + 1, 1)[0]
    expected = np.argsort(-(vectors @ asked))[:limit]
    assert set(filled(vectors).nearest(asked, limit).tolist()) == set(expected.tolist())


def test_an_item_placed_again_is_found_where_it_stands_now() -> None:
    vectors = unit(0, 50)
    index = filled(vectors)
    index.place(np.array([7]), vectors[[9]])
    assert 7 in index.nearest(vectors[9], 2)


def test_every_change_of_a_vector_is_a_later_epoch() -> None:
    index = filled(unit(0, 3))
    before = index.epoch[:3].copy()
    index.place(np.array([1]), unit(1, 1))
    assert (index.epoch[:3] > before).tolist() == [False, True, False]


def test_an_item_that_was_only_mentioned_is_neither_known_nor_ready() -> None:
    index = ItemIndex(DIM)
    index.ensure(1)
    index.ensure(400)
    assert index.items == 400
    assert not index.known[:400].any()
    assert not index.ready[:400].any()
    assert np.isneginf(index.created[:400]).all()


def test_a_large_index_finds_nearly_all_of_the_nearest(large: ItemIndex) -> None:
    asked = unit(5, 20)
    exact = [set(np.argsort(-(large.vector[: large.items] @ one))[:10].tolist()) for one in asked]
    found = [set(large.nearest(one, 200).tolist()) for one in asked]
    shares = [len(best & some) / 10 for best, some in zip(exact, found, strict=True)]
    assert np.mean(shares) > 0.6  # random vectors, so the hardest there are; and a fifth of the lists looked at


def test_in_a_large_index_too_a_change_is_found_at_once(large: ItemIndex) -> None:
    target = unit(6, 1)
    large.place(np.array([3]), target)
    assert 3 in large.nearest(target[0], 5)
    large.ensure(large.items + 1)
    large.place(np.array([1500]), target)
    assert {3, 1500} <= set(large.nearest(target[0], 5).tolist())


def hold_up(monkeypatch: pytest.MonkeyPatch, begun: threading.Event, go_on: threading.Event) -> None:
    """Who joins items to the index says that it has begun, and waits."""
    joined = Built.joined

    def slow(self: Built, items: np.ndarray, vectors: np.ndarray) -> Built:
        begun.set()
        assert go_on.wait(30)
        return joined(self, items, vectors)

    monkeypatch.setattr(Built, "joined", slow)


def test_items_that_came_are_joined_to_the_index_until_it_is_worn(large: ItemIndex) -> None:
    first, came = large._view.built, unit(4, 1000)
    large.ensure(2500)
    large.place(np.arange(1500, 1600), came[:100])
    large.wait()
    joined = large._view.built
    assert joined is not None
    assert first is not None
    assert (first.index.ntotal, joined.index.ntotal, len(large._view.buffer)) == (1500, 1600, 0)
    assert all(1500 + k in large.nearest(came[k], 10) for k in range(0, 100, 9))
    for start in range(100, 1000, 100):
        large.place(np.arange(1500 + start, 1600 + start), came[start : start + 100])
        large.wait()
    anew = large._view.built
    assert anew is not None
    assert anew._built_on == 2500  # half as many had come, and all were built into a new one
    assert all(1500 + k in large.nearest(came[k], 10) for k in range(0, 1000, 90))


def test_an_item_that_changed_is_found_where_it_stands_now_once_it_is_joined(large: ItemIndex) -> None:
    now = unit(4, 60)
    large.place(np.arange(60), now)
    large.wait()
    assert len(large._view.buffer) == 0
    assert all(k in large.nearest(now[k], 10) for k in range(60))


def test_what_came_while_an_index_was_built_is_still_found(large: ItemIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    hold_up(monkeypatch, begun, go_on)
    large.place(np.arange(100), unit(7, 100))  # more than the buffer holds: they are joined to the index
    assert begun.wait(30)
    late = unit(8, 1)
    large.place(np.array([5]), late)
    go_on.set()
    large.wait()
    assert 5 in large.nearest(late[0], 3)
    assert len(large._view[1]) == 1  # all else is in the index now


def test_an_index_built_over_vectors_of_another_version_is_thrown_away(
    large: ItemIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    hold_up(monkeypatch, begun, go_on)
    other = ItemIndex(large.dim)
    other.fill(unit(9, 1500), np.zeros(0, np.int64), None)
    large.place(np.arange(100), unit(7, 100))
    assert begun.wait(30)
    large.adopt(other)
    go_on.set()
    large.wait()
    assert large._view[0] is other._view[0] is not None
    np.testing.assert_array_equal(large.vector[:1500], unit(9, 1500))
    assert (large.epoch[:1500] <= large.clock).all()


def test_the_large_index_of_a_published_version_is_used_until_too_much_differs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(item_index, "EXACT", 1000)
    vectors = unit(9, 1500)
    (tmp_path / "index.faiss").write_bytes(Built(vectors).serialised())
    published = Built.read(tmp_path / "index.faiss")
    for differing, used in ((10, True), (item_index.BUFFER + 1, False)):
        index = ItemIndex(vectors.shape[1])
        changed = np.arange(differing)
        now = vectors.copy()
        now[changed] *= -1
        index.fill(now, changed, published)
        assert (index._view[0] is published) == used
        assert 3 in index.nearest(now[3], 10)
        assert index.epoch[3] == 2
        assert index.epoch[1499] == 1


def test_an_index_from_a_snapshot_answers_alike(large: ItemIndex) -> None:
    large.known[:] = large.ready[:] = 1
    loaded = ItemIndex(DIM)
    loaded.load({name: array.copy() for name, array in large.arrays().items()})
    asked = unit(3, 1)[0]
    assert (loaded.items, loaded.clock) == (large.items, large.clock)
    assert loaded.ready.all()
    exact = set(np.argsort(-(large.vector[:1500] @ asked))[:5].tolist())
    assert len(exact & set(loaded.nearest(asked, 200).tolist())) >= 3
    loaded.ensure(2000)
    loaded.place(np.array([1999]), asked[None])
    assert 1999 in loaded.nearest(asked, 3)
