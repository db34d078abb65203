"""Settings that a running engine takes from the file, and those that wait for the next start."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from penchant.config import FILE, LIVE, Settings, load_settings
from penchant.engine import Engine
from penchant.errors import InvalidInput
from tests.conftest import OpenEngine, ask, circle, click, names

QUIET = 'encoder = "none"\n'


def until(seen: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def circled(open_engine: OpenEngine) -> Engine:
    """Ann clicked on one of six items; bob and cleo on the one across."""
    engine = open_engine()
    engine.ingest([*circle(6), click("ann", "i0"), click("bob", "i3"), click("cleo", "i3")])
    engine.wait_for_items()
    return engine


def write(engine: Engine, text: str) -> None:
    (engine.parts.folder / FILE).write_text(QUIET + text)


def test_what_lists_hide_is_followed(circled: Engine) -> None:
    circled.follow_settings()
    assert "i0" not in names(ask(circled, "ann"))
    write(circled, 'seen = "allow"\n')
    until(lambda: "i0" in names(ask(circled, "ann")))
    write(circled, "")
    until(lambda: "i0" not in names(ask(circled, "ann")))
    assert circled.warnings == []


def test_weights_are_followed_and_are_those_of_the_next_start(circled: Engine, tmp_path: Path) -> None:
    near = names(ask(circled, "ann"))
    assert near[0] in {"i1", "i5"}
    write(circled, "[weights]\ntext = 0\ntransitions = 0\npopularity = 10\n")
    circled.use_settings()
    popular = ask(circled, "ann")
    assert names(popular)[0] == "i3"
    circled.close()
    with Engine.open(tmp_path / "data") as again:
        assert names(ask(again, "ann")) == names(popular)
        assert ask(again, "ann").version == popular.version


def test_weights_leave_vectors_and_states_as_they_are(circled: Engine) -> None:
    ask(circled, "ann")
    vectors, states = circled.parts.index.vector[:6].copy(), circled.parts.states.store.now[:3].copy()
    write(circled, "fresh_half_life_days = 1\n[weights]\nfreshness = 3\n")
    circled.use_settings()
    assert (circled.parts.index.vector[:6] == vectors).all()
    assert (circled.parts.states.store.now[:3] == states).all()
    assert circled.parts.version.manifest.fusion.fresh_half_life_days == 1
    assert ask(circled, "ann").version == "v0-0002"


def test_a_setting_that_needs_another_start_says_so_and_the_others_are_taken(circled: Engine) -> None:
    write(circled, 'neighbours = 64\nseen = "allow"\n')
    with pytest.raises(InvalidInput, match="Restart for it") as refused:
        circled.use_settings()
    assert (refused.value.field, refused.value.value) == ("neighbours", "64")
    assert "256" in refused.value.what
    assert circled.parts.settings.neighbours == 256
    assert circled.parts.settings.seen == "allow"


def test_a_wrong_file_is_a_warning_and_leaves_the_settings_in_use(circled: Engine) -> None:
    circled.follow_settings()
    write(circled, 'seen = "allow"\n')
    until(lambda: circled.parts.settings.seen == "allow")
    write(circled, 'seen = "never"\n')
    until(lambda: circled.warnings)
    assert "seen" in circled.warnings[0]
    assert circled.parts.settings.seen == "allow"
    write(circled, 'seen = "ever"\n')
    until(lambda: not circled.warnings)
    assert circled.parts.settings.seen == "ever"


def test_a_flag_goes_before_a_changed_file_as_it_did_at_the_start(open_engine: OpenEngine) -> None:
    engine = open_engine(seen="allow")
    write(engine, 'seen = "ever"\n')
    engine.use_settings(seen="allow", encoder="none")
    assert engine.parts.settings.seen == "allow"


def test_the_largest_field_is_followed(circled: Engine) -> None:
    write(circled, "max_field_bytes = 16\n")
    circled.use_settings()
    long = circle(1)[0]
    long.fields = {"title": "x" * 99}
    assert circled.ingest([long]).refused


@pytest.mark.parametrize("name", sorted(set(Settings.__struct_fields__) - LIVE))
def test_every_other_setting_waits(circled: Engine, name: str) -> None:
    other = {
        "durability": '"power"',
        "encoder": '"other"',
        "template": '"{title}"',
        "contexts": '{device = ["tv"]}',
        "ratings": '["like"]',
        "host": '"::1"',
        "open": "true",
        "log_format": '"json"',
        "log_level": '"debug"',
        "slates": "{days = 9}",
        "actions": "{click = {weight = 2.0}}",
    }
    text = f"{name} = {other.get(name, '9')}\n"
    (circled.parts.folder / FILE).write_text(text if name == "encoder" else QUIET + text)
    before = circled.parts.settings
    assert load_settings(circled.parts.folder) != before
    with pytest.raises(InvalidInput, match="Restart for it") as refused:
        circled.use_settings()
    assert refused.value.field == name
    assert circled.parts.settings == before


def test_the_standard_policy_is_followed(circled: Engine) -> None:
    assert names(ask(circled, "ann"))[0] != "i2"
    write(circled, '[policy]\npins = [{ item = "i2", slot = 1 }]\n')
    circled.use_settings()
    assert names(ask(circled, "ann"))[0] == "i2"
