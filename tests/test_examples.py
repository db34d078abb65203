"""The examples are run as a newcomer runs them, with the settings that they name, and say what they promise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from penchant.config import FILE
from penchant.serving.cli.running import settings_text

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def told(tmp_path: Path, minilm: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """What an example prints, by what stands before the colon."""
    name = request.param
    (tmp_path / name).mkdir()
    (tmp_path / name / FILE).write_text(settings_text(name), encoding="utf-8")
    (tmp_path / name / "encoder").symlink_to(minilm, target_is_directory=True)
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", name],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(EXAMPLES.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(line.partition(": ")[::2] for line in done.stdout.splitlines())


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_short_and_names_its_preset(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") < 80
    assert f"penchant init --preset {path.stem} --data {path.stem}\npython examples/{path.name} {path.stem}" in text


@pytest.mark.parametrize("told", ["shop"], indirect=True)
def test_the_shop_follows_what_is_done_and_what_is_wished(told: dict[str, str]) -> None:
    tent, cooking = told["Ann looked at a tent"].split(", "), told["and searched for cooking at home"].split(", ")
    assert {"bag", "mat"} & set(tent[:3])
    assert cooking.index("pan") < 3
    wished = told["as the merchandisers want it"].split(", ")
    assert wished[0] == "card (pinned)"
    assert wished[2] == "pan (sponsored)"
    assert "whisky" not in " ".join(told.values())  # Ann is 16
    assert told["what Ann did about it"] == "[('pan', 3, 1.5)]"
    assert "pan" not in told["and with no pan left"]


@pytest.mark.parametrize("told", ["news"], indirect=True)
def test_the_news_are_new_and_take_turns(told: dict[str, str]) -> None:
    sport = {"cup", "marathon", "transfer", "final"}
    assert told["after two pieces on sport"].split(", ")[0] == "transfer"
    assert told["after two pieces on sport"] != told["a newcomer"]
    assert told["and seconds after a new one"].startswith("final")
    assert told["Ann, who has logged in"] == told["and seconds after a new one"]
    assert not sport & set(told["and does not care for sport today"].split(", "))
    assert told["erased"].endswith("'exact')]")


@pytest.mark.parametrize("told", ["video"], indirect=True)
def test_films_are_found_by_what_was_watched_rated_and_typed(told: dict[str, str]) -> None:
    assert told["Ann watched Moon"].split(", ")[0] in ("gravity", "arrival")
    assert told["go on with"] == "moon"
    assert told["like Heat"].startswith("seven")
    assert told["love in Paris"].split(", ")[0] in ("amelie", "before")
    assert set(told["from the nineties"].split(", ")) == {"before", "heat", "seven"}
    stars = {line.split()[3]: float(line.split()[4]) for line in told if line.startswith("Ann would give")}
    assert stars["gravity"] > stars["before"]
