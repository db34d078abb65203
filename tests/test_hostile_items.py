"""What an application may send or set by mistake must never cost it its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from penchant import Condition, Engine, Event, InvalidInput
from penchant.models.cold_start import fit_projection
from penchant.pipeline.filters import meets


@pytest.mark.parametrize("tags", [["a", 1], ["a", None], [1, "a"], [["a"], "b"]])
def test_a_list_of_mixed_values_is_taken_and_the_folder_opens_again(tmp_path: Path, tags: list[object]) -> None:
    with Engine.open(tmp_path, encoder="none") as engine:
        assert engine.ingest([Event(kind="item", item="x", fields={"tags": tags})]).accepted == 1
    with Engine.open(tmp_path, encoder="none") as engine:
        assert engine.parts.index.known[0] == 1


def test_a_template_that_cannot_be_filled_does_not_close_the_folder(tmp_path: Path) -> None:
    with Engine.open(tmp_path, encoder="none", template="{title[a]}") as engine:
        assert engine.ingest([Event(kind="item", item="x", fields={"title": "Alien"})]).accepted == 1
        assert any("template" in warning for warning in engine.warnings)


def test_a_catalogue_without_text_still_has_a_finite_projection() -> None:
    mean, projection = fit_projection(np.zeros((300, 384), np.float32))
    assert np.isfinite(mean).all()
    assert np.isfinite(projection).all()


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), 1e39])
def test_an_impossible_weight_is_refused_before_a_version_is_made(tmp_path: Path, weight: float) -> None:
    with pytest.raises(InvalidInput, match=r"actions\.click\.weight"):
        Engine.open(tmp_path, encoder="none", actions={"click": {"weight": weight}})
    assert not (tmp_path / "versions").exists()


def test_a_long_number_is_met_by_its_own_digits() -> None:
    assert meets(Condition("ean", equals="4006381333931"), {"ean": 4006381333931})
    assert not meets(Condition("ean", equals="4006381333932"), {"ean": 4006381333931})
    assert meets(Condition("price", equals="2.5"), {"price": 2.5})
    assert meets(Condition("year", equals="1990"), {"year": 1990.0})
