"""The demo is run as a stranger would run it, in a process of its own, and everything it says is looked at."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from penchant.evaluation import replay
from penchant.models.text_encoder import load_encoder
from penchant.pipeline.items import render
from penchant.serving import demo
from penchant.serving.away import Away
from penchant.serving.cli import run
from penchant.storage.catalogue import text_key
from penchant.types import Event, Query

HIDE_TORCH = """
import sys
from importlib.machinery import PathFinder

class WithoutTorch(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] == "torch" else super().find_spec(name, path, target)

sys.meta_path[:] = [WithoutTorch if finder is PathFinder else finder for finder in sys.meta_path]
"""


def penchant(*words: str, folder: Path, before: Path | None = None) -> subprocess.CompletedProcess[str]:
    """``before``: a folder that Python looks into first."""
    command = [sys.executable, "-m", "penchant.serving.cli", *words]
    paths = [str(before or ""), os.environ.get("PYTHONPATH", "")]
    about = os.environ | {"COLUMNS": "100", "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    return subprocess.run(command, cwd=folder, env=about, capture_output=True, text=True, check=False, timeout=400)


def lists(told: str) -> list[list[str]]:
    """The lists of a story, each as its lines without marks."""
    found: list[list[str]] = []
    for line in told.splitlines():
        match = re.match(r" +(\d+)  (.+?)(?:  +(?:new|[↑↓] \d+))?$", line)
        if match and match[1] == "1":
            found.append([])
        if match:
            found[-1].append(match[2])
    return found


def test_the_demo_runs_to_its_end_and_every_claim_holds(tmp_path: Path, minilm: Path) -> None:
    done = penchant("demo", "--fast", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All 10 claims hold" in done.stdout
    assert "✗" not in done.stdout
    story, _, chapter = done.stdout.partition("SIMULATED")
    before, alien, spirited, amelie, found, searched, newcomer, again = lists(story)
    assert before[0] == "Alien (1979)"
    assert "Blade Runner (1982)" in alien
    assert "My Neighbor Totoro (1988)" in spirited
    assert "Ratatouille (2007)" in amelie
    assert len({tuple(each) for each in (before, alien, spirited, amelie, searched, newcomer)}) == 6
    assert len(set(found) & set(searched)) >= 4
    assert "The Lamplighter of Montmartre (2031)" in newcomer
    assert again == newcomer
    assert_the_trained_version_is_ahead(" ".join(chapter.split()))
    assert list(tmp_path.iterdir()) == []


def assert_the_trained_version_is_ahead(chapter: str) -> None:
    """By far more than chance would have it, and on one person's list, too."""
    assert "These 2,000 people do not exist" in chapter
    figures = re.search(r"NDCG@10: version 0 (0\.\d+), trained (0\.\d+) ", chapter)
    assert figures is not None
    assert float(figures[2]) > float(figures[1]) + 0.05
    assert re.search(r"over from v0-\d+ to small-\d+ and answered", chapter)


def test_without_torch_it_tells_all_but_the_training(tmp_path: Path, minilm: Path) -> None:
    hiding, stage = tmp_path / "hiding", tmp_path / "stage"
    hiding.mkdir()
    stage.mkdir()
    (hiding / "sitecustomize.py").write_text(HIDE_TORCH, encoding="utf-8")
    done = penchant("demo", "--fast", folder=stage, before=hiding)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pip install 'penchant[train]'" in done.stdout
    assert "SIMULATED" not in done.stdout
    assert "All 8 claims hold" in done.stdout


def test_the_commands_it_ends_with_work(tmp_path: Path, minilm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # they are written for whoever stands here
    *commands, serve = [shlex.split(command) for command in demo.next_commands()]
    for command in commands:
        done = penchant(*command[1:], folder=tmp_path)
        assert done.returncode == 0, done.stderr
    assert "Breathless" in done.stdout
    assert serve[1:] == ["serve", "--data", "films"]


def test_the_demo_tells_the_same_story_of_movielens(
    tmp_path: Path, minilm: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(replay, "LAGS", {"0 s": 0.0, "1 h": 3600.0})  # each is a process more
    assert run(["demo", "--fast", "--data", str(movielens(tmp_path))]) == 0
    told = capsys.readouterr().out
    assert "Rated before that day" in told
    assert "gives 4 stars to" in told
    assert "What staleness costs" in told
    assert "All 7 claims hold" in told


def movielens(folder: Path) -> Path:
    """The first 60 bundled films in the format of MovieLens-1M, and 40 people who each rate 30 of them."""
    folder = folder / "ml"
    folder.mkdir()
    films = demo.films()[:60]
    lines = [f"{k}::{film.fields['title']} ({film.fields['year']})::Drama" for k, film in enumerate(films, 1)]
    (folder / "movies.dat").write_text("\n".join(lines) + "\n", encoding="utf-8")
    order = np.random.default_rng(0).permutation(40 * 30)
    rated = [
        (f"{row % 40 + 1}::{(row // 40 * 7 + row) % 60 + 1}::4", 965_000_000 + 60 * k)
        for k, row in enumerate(order.tolist())
    ]
    (folder / "ratings.dat").write_text("".join(f"{what}::{when}\n" for what, when in rated))
    return folder


def test_movielens_without_ratings_is_refused_with_the_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = movielens(tmp_path)
    (folder / "ratings.dat").unlink()
    assert run(["demo", "--data", str(folder)]) == 2
    assert "MovieLens-1M" in capsys.readouterr().err


def test_a_claim_that_does_not_hold_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "_with_films", lambda story, data: story.check(False, "pigs fly"))
    assert run(["demo", "--fast"]) == 1
    told = capsys.readouterr().out
    assert "✗ does not hold: pigs fly" in told
    assert "1 of 1 claims do not hold" in told
    assert "Now you" not in told


def test_bundled_vectors_are_those_of_the_language_model(minilm: Path) -> None:
    """After a change of the films, of their texts or of the encoder: python tools/film_vectors.py."""
    encoder = load_encoder(None, cache=minilm)
    texts = [render("", film.fields) for film in demo.films()]
    keys, vectors = demo.bundled_vectors()
    assert keys == [text_key(encoder.fingerprint, text) for text in texts]
    assert len(texts) == 300
    fresh = encoder.encode(texts[::3])
    cosine = (fresh * vectors[::3]).sum(1) / np.linalg.norm(vectors[::3], axis=1)
    assert cosine.min() >= 0.999


def test_an_engine_away_is_killed_with_signal_9_and_knows_what_was_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENCHANT_ENCODER", "none")
    with Away(tmp_path) as engine:
        engine.ingest(Event(kind="item", item="i1"), Event(kind="item", item="i2"))
        receipt = engine.ingest(Event(user="ann", action="click", item="i1"))
        before = engine.recommend(Query(user="ann", time=2e9))
        assert engine.kill() == signal.SIGKILL
        engine.start()
        after = engine.recommend(Query(user="ann", time=2e9))
    assert after == before
    assert after.as_of == receipt.as_of == 3
    assert [one.item for one in after.items] == ["i2"]
