"""What the documents say is run: the README's program, its commands and its links; the numbers in it are the rows'."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
from pathlib import Path

import msgspec
import pytest
import typer.main

from penchant import Contents, Query, Reason
from penchant.config import FILE, Settings, load_settings
from penchant.expressions import parse
from penchant.policies import check
from penchant.serving.cli import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]


def blocks(kind: str, text: str = README) -> list[str]:
    parts = text.split("```")[1::2]
    return [body for part in parts for name, _, body in [part.partition("\n")] if name == kind]


def test_the_readme_is_short() -> None:
    assert README.count("\n") < 150


def test_the_program_in_the_readme_runs_and_says_what_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = io.StringIO()
    (program,) = blocks("python")
    with contextlib.redirect_stdout(said):
        exec(compile(program, "README.md", "exec"), {})
    assert said.getvalue().strip() == "['moon'] 3"


@pytest.mark.parametrize(
    "document",
    [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in ("try", "rules", "keys", "operations"))],
    ids=lambda path: path.name,
)
def test_every_command_exists_with_its_options(document: Path) -> None:
    commands = dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    groups = {name: commands.pop(name).commands for name in ("model", "key", "tenant")}
    told = document.read_text(encoding="utf-8")
    lines = [line.split("#")[0] for block in blocks("", told) for line in block.splitlines()]
    used = [shlex.split(line)[1:] for line in lines if line.startswith("penchant ")]
    assert used
    for name, *words in used:
        command = groups[name][words[0]] if name in groups else commands[name]
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, name


def test_every_rule_of_the_page_can_be_read() -> None:
    page = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    rules = [line for block in blocks("", page) for line in block.splitlines() if not line.startswith("penchant ")]
    assert rules
    for rule in rules:
        parse(rule)


def test_the_policy_of_the_page_can_be_asked_for_and_stand_in_the_settings(tmp_path: Path) -> None:
    asked, standing = blocks("", (ROOT / "docs" / "policies.md").read_text(encoding="utf-8"))
    policy = msgspec.json.decode(asked, type=Query).policy
    assert policy is not None
    assert check(policy).sponsored is not None
    (tmp_path / FILE).write_text(standing, encoding="utf-8")
    assert load_settings(tmp_path).policy.caps == {"brand": 2}


def test_the_settings_of_the_page_on_feedback_are_the_defaults(tmp_path: Path) -> None:
    _, settings = blocks("", (ROOT / "docs" / "feedback.md").read_text(encoding="utf-8"))
    (tmp_path / FILE).write_text(settings, encoding="utf-8")
    assert load_settings(tmp_path) == Settings()


def test_the_reason_of_the_page_is_one_and_its_settings_can_be_used(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "reasons.md").read_text(encoding="utf-8")
    (told,) = blocks("json", page)
    assert msgspec.json.decode(told, type=Reason).moved[0].shared == {"genres": ["Horror", "Sci-Fi"]}
    (tmp_path / FILE).write_text(blocks("", page)[1], encoding="utf-8")
    assert load_settings(tmp_path).actions["stream"].said["zh"] == "播放过{}"


def test_the_texts_of_the_page_are_an_answer_of_the_server() -> None:
    (told,) = blocks("json", (ROOT / "docs" / "content.md").read_text(encoding="utf-8"))
    assert [one.writer for one in msgspec.json.decode(told, type=Contents).contents] == ["template"] * 2


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make ([a-z]+)(?![a-z-])", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for name in re.findall(r"bench-([a-z]+)", README):
        assert (ROOT / "benchmarks" / f"{name}.py").exists(), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (document.parent / target).exists(), target


NUMBERS = r"^\|[^|]*\| *([0-9.,/ ]+?) *[a-zA-Zµ%]* *\| *`([a-z]+):([a-z0-9_, ]+)` *\|"


@pytest.mark.parametrize("document", ["README.md", "docs/limits.md"])
def test_every_number_of_a_table_is_the_newest_row_of_its_benchmark(document: str) -> None:
    """`| what | number | name:figure |`: the number is that figure, as far as it is written out."""
    text = (ROOT / document).read_text(encoding="utf-8")
    for part in re.findall(r"<!-- numbers -->(.*?)<!-- /numbers -->", text, re.DOTALL):
        cells = re.findall(NUMBERS, part, re.MULTILINE)
        assert len(cells) == part.count("` |") > 0, "a row of the table has numbers that nobody compares"
        for written, name, figures in cells:
            rows = (ROOT / "benchmarks" / "results" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
            newest = json.loads(rows[-1])["figures"]
            for number, figure in zip(written.split("/"), figures.split(","), strict=True):
                digits = number.strip().replace(",", "")
                places = len(digits.partition(".")[2])
                assert round(newest[figure.strip()], places) == float(digits), (name, figure)
