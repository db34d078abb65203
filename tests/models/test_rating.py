"""The rating model as it is served, beside the torch model that it was fitted as."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from penchant.models.rating import SIZE, SUMS, RatingModel

ITEMS, WIDTH, HIDDEN = 9, 4, 6
STARS = np.array([1.0, 2.0, 3.5, 5.0], np.float32)


def made(seed: int = 0) -> RatingModel:
    """Of random parameters."""
    random = np.random.default_rng(seed)

    def draw(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32) * np.float32(0.3)

    return RatingModel(
        mean=np.array([3.5], np.float32),
        bias=draw(ITEMS),
        rated=draw(ITEMS, SUMS),
        liked=draw(ITEMS, SUMS),
        item=draw(ITEMS, WIDTH),
        item_bias=draw(ITEMS),
        damp=np.full(SUMS, 13.0, np.float32),
        straight=draw(WIDTH + 1, SUMS + 5),
        straight_bias=draw(WIDTH + 1),
        inner=draw(HIDDEN, SUMS + 5),
        inner_bias=draw(HIDDEN),
        outer=draw(WIDTH + 1, HIDDEN),
        outer_bias=draw(WIDTH + 1),
        limits=np.array([1.0, 5.0], np.float32),
        actions=np.array([3]),
    )


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    model = made()
    (tmp_path / "rating.npz").write_bytes(model.packed())
    for one, other in zip(RatingModel.load(tmp_path / "rating.npz"), model, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_unknown_item_moves_the_average_and_no_more() -> None:
    added = made().contribution(np.array([ITEMS, 2 * ITEMS]), np.array([4.5, 2.5], np.float32))
    assert added.shape == (2, SIZE)
    assert not added[:, :SUMS].any()
    assert added[:, SUMS:].tolist() == [[1.0, 1.0, 1.0], [1.0, -1.0, 1.0]]


def test_without_an_item_nothing_is_added() -> None:
    assert not made().contribution(np.array([-1]), np.array([5.0], np.float32)).any()


def test_of_nothing_nothing_is_said() -> None:
    none = np.zeros(0, np.int64)
    assert made().contribution(none, np.zeros(0, np.float32)).shape == (0, SIZE)
    assert made().predict(made().read(np.zeros((1, SIZE), np.float32))[0], none).shape == (0,)


def test_stars_lie_within_the_limits() -> None:
    read = np.zeros(WIDTH + 1, np.float32)
    for bias, expected in ((99.0, 5.0), (-99.0, 1.0)):
        read[-1] = bias
        assert made().predict(read, np.arange(ITEMS + 2)).tolist() == [expected] * (ITEMS + 2)


def test_the_served_model_says_what_the_fitted_one_says() -> None:
    torch = pytest.importorskip("torch")
    from penchant.models.torch.rating import Reader, served

    torch.manual_seed(0)
    reader = Reader(3.6, np.linspace(-1.0, 1.0, ITEMS)).eval()
    with torch.no_grad():
        for parameter in reader.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model = served(reader, np.array([-99.0, 99.0], np.float32), np.array([0]))
    items = np.array([0, 3, 3, 8])
    with torch.no_grad():
        each = reader.contribution(torch.from_numpy(items), torch.from_numpy(STARS))
        sums = torch.stack((torch.zeros(SIZE), each[0], each.sum(0), 50.0 * each.sum(0)))
        read = reader.read(sums)
        stars = reader.all_stars(read)
        alone, _ = reader.stars(read[[2, 2, 2, 2]], torch.from_numpy(items))
    np.testing.assert_allclose(model.contribution(items, STARS), each.numpy(), atol=1e-5)
    np.testing.assert_allclose(model.read(sums.numpy()), read.numpy(), atol=1e-5)
    for person in range(len(sums)):
        said = model.predict(read[person].numpy(), np.arange(ITEMS))
        np.testing.assert_allclose(said, stars[person].numpy(), atol=1e-5)
    np.testing.assert_allclose(model.predict(read[2].numpy(), items), alone.numpy(), atol=1e-5)
