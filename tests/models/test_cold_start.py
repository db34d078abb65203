"""Version 0: its projections, its step and fold by hand, and its query."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.config import Settings
from penchant.models.cold_start import (
    DIM,
    ENOUGH,
    FAST,
    FAST_SHARE,
    FEATURES,
    SLOW,
    brought_projection,
    default_fusion,
    fit_projection,
    fixed_projection,
    publish_version_0,
)
from penchant.models.fusion import fault
from penchant.models.runtime import LastEvents, Version
from tests.conftest import NOW

ACTIONS = {"click": 1.0, "buy": 1.5, "dislike": -0.5}


def publish(folder: Path, text_dim: int = 200, vectors: np.ndarray | None = None) -> Version:
    return Version(publish_version_0(folder, ("e", "f", text_dim), ACTIONS, vectors, NOW))


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Version:
    return publish(tmp_path_factory.mktemp("versions"))


def random(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


# -- projections -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [1, 2, 127, 128, 129, 384])
def test_the_fixed_projection_keeps_what_fits(dim: int) -> None:
    mean, projection = fixed_projection(dim)
    assert projection.shape == (dim, DIM)
    assert not mean.any()
    kept = projection @ projection.T if dim <= DIM else projection.T @ projection
    np.testing.assert_allclose(kept, np.eye(min(dim, DIM)), atol=1e-5)


def test_the_fixed_projection_is_the_same_each_time() -> None:
    np.testing.assert_array_equal(fixed_projection(384)[1], fixed_projection(384)[1])


def test_brought_vectors_are_turned_by_their_name() -> None:
    image, sound = brought_projection("image", 8), brought_projection("sound", 8)
    np.testing.assert_array_equal(image, brought_projection("image", 8))
    assert np.abs(image - sound).max() > 0.1


def test_a_fitted_projection_makes_what_items_share_quieter() -> None:
    shared, own = np.ones((400, 1), np.float32) * 5, random(0, 400, 200)
    vectors = unit(np.concatenate((shared, own), 1))
    mean, projection = fit_projection(vectors)
    fitted, fixed = unit((vectors - mean) @ projection), unit(vectors @ fixed_projection(201)[1])
    assert np.abs((fitted @ fitted.T).mean()) < 0.01 < (fixed @ fixed.T).mean()


def test_a_fitted_projection_of_few_dimensions_is_filled_up_with_zeros() -> None:
    _, projection = fit_projection(random(0, 300, 20))
    assert projection.shape == (20, DIM)
    assert not projection[:, 20:].any()


def test_a_projection_is_fitted_only_to_enough_items(tmp_path: Path) -> None:
    assert publish(tmp_path / "few", vectors=random(0, ENOUGH - 1, 200)).manifest.fitted_on == 0
    assert publish(tmp_path / "enough", vectors=random(0, ENOUGH, 200)).manifest.fitted_on == ENOUGH


def test_items_have_length_one_and_an_item_without_text_stays_zero(version: Version) -> None:
    text = random(0, 3, 200)
    text[1] = 0.0
    out = version.words(text)
    np.testing.assert_allclose(np.linalg.norm(out, axis=1), [1, 0, 1], atol=1e-5)
    np.testing.assert_allclose(out[0], unit(text[0] @ fixed_projection(200)[1]), atol=1e-5)


# -- step, fold, query -------------------------------------------------------------------------------------------------


def test_a_step_decays_what_was_and_adds_the_weighted_item(version: Version) -> None:
    state, x = random(1, 3, 2 * DIM), random(2, 3, DIM)
    out = version.step(state, x, np.array([0, 1, 2]), random(3, 3), random(4, 3))
    weights = np.array([[1.0], [1.5], [-0.5]])
    expected = state * np.repeat([FAST, SLOW], DIM) + np.concatenate((weights * x, weights * x), 1)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)


def test_the_fast_part_remembers_three_events_and_the_slow_one_twenty() -> None:
    memories = [1 / (1 - decay) for decay in (FAST, SLOW)]
    assert memories == pytest.approx([10 / 3, 20])


@given(mask=st.lists(st.booleans(), min_size=1, max_size=64), seed=st.integers(0, 99))
@settings(max_examples=50)
def test_a_fold_passes_over_what_is_masked(version: Version, mask: list[bool], seed: int) -> None:
    state, x = random(seed, 1, 2 * DIM), random(seed + 1, 1, len(mask), DIM)
    action = np.arange(len(mask))[None] % 3
    zeros, kept = np.zeros((1, len(mask)), np.float32), np.flatnonzero(mask)
    masked = version.fold(state, x, action, zeros, zeros, np.array([mask], np.float32))
    short = zeros[:, : len(kept)]
    expected = version.fold(state, x[:, kept], action[:, kept], short, short, short + 1) if len(kept) else state
    np.testing.assert_allclose(masked, expected, rtol=1e-4, atol=1e-5)


def asked(version: Version, state: np.ndarray) -> np.ndarray:
    """Version 0 reads the state alone."""
    n = len(state)
    last = LastEvents(np.zeros((n, DIM), np.float32), np.zeros(n, np.int64), *np.zeros((2, n), np.float32))
    return version.query(state, last, np.zeros(n, np.float32), np.zeros((n, 1), np.int64))


def test_the_query_is_the_blend_of_both_parts_at_length_one(version: Version) -> None:
    state = random(5, 2, 2 * DIM)
    expected = unit(FAST_SHARE * unit(state[:, :DIM]) + (1 - FAST_SHARE) * unit(state[:, DIM:]))
    np.testing.assert_allclose(asked(version, state), expected, atol=1e-5)


def test_nobody_known_asks_for_nothing(version: Version) -> None:
    assert not asked(version, np.zeros((2, 2 * DIM), np.float32)).any()


def test_every_feature_has_its_weight() -> None:
    fusion = default_fusion()
    assert set(Settings().weights) == set(FEATURES)
    assert tuple(fusion.weights) == tuple(fusion.likeness) == FEATURES
    assert fault(fusion) is None
