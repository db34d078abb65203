"""Settings: file < environment < flag, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.config import FILE, Action, Settings, default_weights, load_settings, write_settings
from penchant.errors import InvalidInput
from penchant.types import Auction, Pin, Policy, Promotion
from tests.conftest import temporary_folder

NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)


def test_an_empty_folder_has_the_defaults(tmp_path: Path) -> None:
    assert load_settings(tmp_path) == Settings()


def test_the_file_beats_the_default_the_environment_the_file_and_a_flag_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / FILE).write_text('neighbours = 10\nport = 1\ntemplate = "{title}"', encoding="utf-8")
    monkeypatch.setenv("PENCHANT_NEIGHBOURS", "20")
    monkeypatch.setenv("PENCHANT_PORT", "2")
    settings = load_settings(tmp_path, neighbours=30, encoder=None)
    assert (settings.template, settings.port, settings.neighbours) == ("{title}", 2, 30)
    assert settings.encoder == ""  # a flag that was not given changes nothing


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("neighbors = 10", "neighbors"),
        ('durability = "paper"', "durability"),
        ("neighbours = many", "penchant.toml"),
        ("neighbours = 7", "neighbours"),
        ("neighbours = 5000", "neighbours"),
        ("half_life_days = nan", "half_life_days"),
        ("fresh_half_life_days = 0", "fresh_half_life_days"),
        ("[weights]\npopularity = inf", "weights.popularity"),
        ("[weights]\nfreshness = -1000", "weights.freshness"),
        ("[weights]\nfame = 1", "weights.fame"),
        ('seen = "never"', "seen"),
        ("snapshot_every = 0", "snapshot_every"),
        ("max_field_bytes = 1", "max_field_bytes"),
        ("port = 70000", "port"),
        ("[actions]", "actions"),
        ("[actions.click]\nwait = 1", "wait"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput) as refused:
        load_settings(tmp_path)
    assert named in str(refused.value)
    assert FILE in refused.value.way_out or "Correct" in refused.value.way_out or refused.value.way_out


def test_a_flag_is_checked_like_the_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="neighbours"):
        load_settings(tmp_path, neighbours=1)
    with pytest.raises(InvalidInput, match="colour"):
        load_settings(tmp_path, colour="red")


@given(
    template=st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20),
    neighbours=st.integers(8, 4096),
    half_life_days=st.floats(0.05, 30_000),
    popularity=st.floats(-100, 100),
    actions=st.dictionaries(
        st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8),
        st.builds(Action, st.floats(-5, 5), st.dictionaries(st.sampled_from(("en", "zh")), NAMES)),
        min_size=1,
        max_size=4,
    ),
    policy=st.builds(
        Policy,
        diversity=st.none() | st.floats(0, 1),
        caps=st.none() | st.dictionaries(NAMES, st.integers(1, 9), max_size=3),
        pins=st.none() | st.tuples(st.builds(Pin, NAMES, st.integers(1, 9))),
        promotions=st.none() | st.tuples(st.builds(Promotion, filter=st.just("a < 1"), boost=st.floats(-9, 9))),
        sponsored=st.none()
        | st.builds(Auction, slots=st.just((1, 3)), bids=st.dictionaries(NAMES, st.floats(0, 9), max_size=3)),
    ),
)
def test_written_settings_are_read_back(
    template: str,
    neighbours: int,
    half_life_days: float,
    popularity: float,
    actions: dict[str, Action],
    policy: Policy,
) -> None:
    settings = Settings(template=template, neighbours=neighbours, half_life_days=half_life_days, actions=actions)
    settings.weights["popularity"] = popularity
    settings.policy = policy
    with temporary_folder() as folder:
        write_settings(folder, settings)
        assert load_settings(folder) == settings


def test_a_weight_that_is_not_named_keeps_its_default(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("[weights]\npopularity = 4\n")
    assert load_settings(tmp_path).weights == default_weights() | {"popularity": 4.0}


def test_what_has_its_default_is_not_written(tmp_path: Path) -> None:
    lines = write_settings(tmp_path, Settings(port=80)).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["port = 80"]


def test_only_an_action_of_positive_weight_is_for_an_item() -> None:
    weights = {name: action.weight for name, action in Settings().actions.items()}
    assert weights["buy"] > weights["click"] > weights["view"] > 0 > weights["dislike"]
