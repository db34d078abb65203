"""The image and its composition, read by their own parsers: every path, command, port and setting in them is there."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from dockerfile_parse import DockerfileParser

from penchant.config import Settings
from penchant.serving.cli import app
from penchant.serving.http import application

ROOT = Path(__file__).parent.parent
Instruction = dict[str, Any]


@pytest.fixture(scope="module")
def stages() -> list[list[Instruction]]:
    """The instructions of each stage."""
    found: list[list[Instruction]] = []
    for one in DockerfileParser(str(ROOT / "Dockerfile"), cache_content=True).structure:
        if one["instruction"] == "FROM":
            found.append([])
        if one["instruction"] != "COMMENT":
            found[-1].append(one)
    return found


@pytest.fixture(scope="module")
def service() -> dict[str, Any]:
    composed = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    (service,) = composed["services"].values()
    assert {volume.partition(":")[0] for volume in service["volumes"]} == set(composed["volumes"])
    return service  # type: ignore[no-any-return]


def values(stage: list[Instruction], name: str) -> list[str]:
    return [one["value"] for one in stage if one["instruction"] == name]


def environment(stage: list[Instruction]) -> dict[str, str]:
    words = [word for value in values(stage, "ENV") for word in shlex.split(value)]
    return dict(word.split("=", 1) for word in words)


def settings_named(variables: set[str]) -> set[str]:
    return {name.removeprefix("PENCHANT_").lower() for name in variables if name.startswith("PENCHANT_")}


def test_the_linter_of_dockerfiles_has_nothing_to_say() -> None:
    linter = Path(sys.executable).parent / "hadolint"
    said = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (0, "")


def test_every_file_that_is_copied_is_there_and_not_ignored(stages: list[list[Instruction]]) -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [word for value in values(stages[0], "COPY") for word in value.split()[:-1]]
    assert copied
    for name in copied:
        assert (ROOT / name).exists(), name
        assert name in kept, name


def test_the_image_is_built_apart_from_what_runs_and_runs_as_nobody_special(stages: list[list[Instruction]]) -> None:
    build, run = stages
    assert values(build, "FROM")[0].partition(" AS ")[0] == values(run, "FROM")[0]
    assert [value.split()[0] for value in values(run, "COPY")] == ["--from=build"]
    user, order = values(run, "USER")[-1], [one["instruction"] for one in run]
    assert int(user) >= 10_000  # a number, so that a cluster can see that it is not root
    assert f"useradd --uid {user} --create-home penchant" in values(run, "RUN")[0]
    assert order.index("USER") < order.index("ENTRYPOINT")


def test_nothing_that_trains_is_installed_and_versions_are_those_of_the_tests(stages: list[list[Instruction]]) -> None:
    (installed,) = [value for value in values(stages[0], "RUN") if "pip install" in value]
    assert "--constraint constraints.txt ." in installed
    assert "[" not in installed  # no extra: the engine needs no torch
    model = next(word for word in installed.split() if word.startswith("gt-all"))
    assert f"MODEL := {model}\n" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_it_starts_a_command_that_exists_and_is_asked_at_an_address_that_exists(
    stages: list[list[Instruction]],
) -> None:
    run = stages[-1]
    (entry,), (command, *_) = json.loads(values(run, "ENTRYPOINT")[0]), json.loads(values(run, "CMD")[0])
    assert entry == "penchant"
    assert command in typer.main.get_command(app).commands  # type: ignore[attr-defined]
    (check,) = values(run, "HEALTHCHECK")
    program, flag, script = json.loads(check.partition("CMD ")[2])
    assert (program, flag) == ("python", "-c")
    compile(script, "HEALTHCHECK", "exec")
    url = script.partition("http://127.0.0.1:")[2].partition("'")[0]
    port, _, path = url.partition("/")
    assert int(port) == Settings().port == int(values(run, "EXPOSE")[0])
    assert f"/{path}" in {route.path for route in application().routes}


def test_every_variable_is_a_setting_and_the_data_lies_in_the_volume(
    stages: list[list[Instruction]], service: dict[str, Any]
) -> None:
    inside = environment(stages[-1])
    known = {*Settings.__struct_fields__, "data_dir"}
    assert settings_named({*inside, *service["environment"]}) <= known
    (volume,) = values(stages[-1], "VOLUME")
    assert inside["PENCHANT_DATA_DIR"] == volume
    assert [one.split(":")[1] for one in service["volumes"]] == [volume]
    assert f"penchant --group penchant {volume}" in values(stages[-1], "RUN")[0]


def test_the_service_publishes_the_port_to_this_machine_alone(service: dict[str, Any]) -> None:
    assert service["ports"] == [f"127.0.0.1:{Settings().port}:{Settings().port}"]


def test_memory_has_its_ceiling_below_the_one_of_the_container(service: dict[str, Any]) -> None:
    limit = int(service["mem_limit"].removesuffix("g")) * 2**30
    assert 0 < int(service["environment"]["PENCHANT_MAX_MEMORY_BYTES"]) < limit
