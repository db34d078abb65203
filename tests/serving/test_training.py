"""`penchant train` and `penchant model` as a person meets them, beside a server or alone."""

from __future__ import annotations

import json
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from penchant import Event
from penchant.config import FILE
from penchant.engine import Engine
from penchant.models import versions
from penchant.models.versions import read_manifest
from penchant.serving import screens
from penchant.serving.cli import run
from penchant.serving.training import TrainingProgress, said
from tests.conftest import NOW, circle, click, item
from tests.serving.conftest import Server
from tests.serving.test_cli import Penchant

QUICK = ("--size", "small", "--epochs", "1")


@pytest.fixture
def penchant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Penchant:
    """Run a command line in the folder that `data` stands in: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(screens.out, "width", 140)
    monkeypatch.setattr(screens.errors, "width", 140)

    def penchant(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(words)
        told = capsys.readouterr()
        return code, told.out, told.err

    return penchant


@pytest.fixture
def chained(chain_folder: Path, tmp_path: Path) -> Path:
    """A copy of `chain_folder`."""
    shutil.copytree(chain_folder, tmp_path / "data")
    return tmp_path / "data"


# -- train -------------------------------------------------------------------------------------------------------------


def test_a_training_says_what_it_will_do_and_what_came_of_it(penchant: Penchant, chained: Path) -> None:
    pytest.importorskip("torch")
    code, out, told = penchant("train", *QUICK, "--seed", "3")
    assert code == 0, told
    assert "720 events of 60 people with 40 items" in told
    assert "what happened from 2023-11-15" in told
    assert re.search(r"about \d\.\d GB", told)
    assert all(name in told for name in ("learning_rate", "dropout", "seed"))
    assert "The same 72 questions, through the real engine" in out
    assert "95% interval" in out
    assert "It is not better than version 0, so it is not in use" in out  # a circle is what version 0 knows best
    assert "penchant model use 0002" in out
    assert "penchant model list" in out
    manifest = read_manifest(chained / "versions" / "0002")
    assert manifest.training is not None
    assert (manifest.training.seed, manifest.training.epochs) == (3, 1)
    assert not (chained / "training").exists()


def test_a_training_in_json_is_one_line_and_without_a_gate_it_is_used(penchant: Penchant, chained: Path) -> None:
    pytest.importorskip("torch")
    code, out, _ = penchant("train", *QUICK, "--no-gate", "--no-refit", "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["version"], found["used"], found["gate"]) == ("0002", True, None)
    assert (found["events"], found["people"], found["items"]) == (720, 60, 40)
    assert found["recipe"]["size"] == "small"
    assert 0 <= found["metrics"]["ndcg10"] <= 1
    assert versions.current(chained / "versions") == chained / "versions" / "0002"


def test_a_training_that_is_stopped_goes_on_with_the_data_that_it_began_with(
    penchant: Penchant, chained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    reports: list[Any] = []

    def report(progress: TrainingProgress, one: Any) -> None:
        reports.append(one)
        if one.epoch == 1 and not stopped:
            stopped.append(len(reports))
            raise KeyboardInterrupt

    stopped: list[int] = []
    monkeypatch.setattr(TrainingProgress, "report", report)
    words = ("train", "--size", "small", "--epochs", "3", "--no-gate", "--no-refit")
    code, _, told = penchant(*words)
    assert code == 130
    assert "Stopped. The same command goes on from the last checkpoint." in told
    with Engine.open(chained) as engine:
        engine.ingest([item("new", 1.0, 0.0), click("u0", "new", NOW + 90_000)])
        engine.wait_for_items()
    assert penchant(*words)[0] == 0
    assert reports[stopped[0]].epoch == 1
    training = read_manifest(chained / "versions" / "0002").training
    assert training is not None
    assert (training.events, training.items) == (720, 40)
    with Engine.open(chained) as engine:
        assert engine.parts.version.name == "small-0002"
        assert engine.parts.states.newest(engine.parts.log.people.get("u0")) == engine.parts.log.end


def test_fresh_forgets_a_run_that_was_stopped(
    penchant: Penchant, chained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    first: list[int] = []

    def stop(progress: TrainingProgress, one: Any) -> None:
        first.append(one.epoch)
        if one.epoch:
            raise KeyboardInterrupt

    monkeypatch.setattr(TrainingProgress, "report", stop)
    for more in ((), ("--fresh",)):
        begun = len(first)
        assert penchant("train", "--size", "small", "--epochs", "2", "--no-gate", *more)[0] == 130
        assert first[begun] == 0


def test_without_torch_the_error_names_the_extra(
    penchant: Penchant, chained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("penchant.learning")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("penchant.learning", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    code, _, told = penchant("train", *QUICK)
    assert code == 1
    assert "Training needs PyTorch" in told
    assert "pip install 'penchant[train]'" in told


def test_mistakes_of_a_training_have_a_way_out(penchant: Penchant, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    code, _, told = penchant("train", "--data", "nowhere")
    assert code == 2
    assert "Name a data folder with --data" in told
    with Engine.open(tmp_path / "data", encoder="none") as engine:
        engine.ingest(circle(3))
    (tmp_path / "data" / FILE).write_text('encoder = "none"\n')
    code, _, told = penchant("train")
    assert code == 2
    assert "Import items and events first" in told
    assert penchant("train", "--size", "huge")[0] == 2


def test_a_report_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from penchant.learning.pretrain import Report

    told = said(Report(1, 4, 3, 10, 2.5, 1234.0, [(1, 0.25)]))
    assert told == "epoch 2 of 4 · loss 2.500 · NDCG@10 0.2500, best 0.2500 · 1,234 events/s"


# -- beside a server ---------------------------------------------------------------------------------------------------


@pytest.fixture
def served(chained: Path) -> Iterator[Server]:
    server = Server(chained).ready()
    yield server
    server.stop()


def version_of(server: Server) -> str:
    return str(httpx.get(f"{server.url}/v1/recommend?user=u1").json()["version"])


def until_version(server: Server, name: str) -> str:
    end = time.monotonic() + 30
    while (found := version_of(server)) != name and time.monotonic() < end:
        time.sleep(0.05)
    return found


def test_one_trains_and_chooses_beside_a_server_that_loses_nothing(penchant: Penchant, served: Server) -> None:
    pytest.importorskip("torch")
    answers: list[httpx.Response] = []
    ended = threading.Event()

    def live() -> None:
        with httpx.Client(base_url=served.url) as client:
            while not ended.wait(0.02):
                event = {"user": f"u{len(answers) % 60}", "action": "click", "item": f"i{len(answers) % 40}"}
                answers.append(client.post("/v1/events?recommend=5", json=event))

    living = threading.Thread(target=live)
    living.start()
    code, _, told = penchant("train", *QUICK, "--no-gate")
    assert code == 0, told
    assert until_version(served, "small-0002") == "small-0002"
    assert penchant("model", "use", "1")[0] == 0
    assert until_version(served, "v0-0001") == "v0-0001"
    assert penchant("model", "rollback")[0] == 0
    assert until_version(served, "small-0002") == "small-0002"
    ended.set()
    living.join()
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["slate"]["version"] for answer in answers} == {"v0-0001", "small-0002"}
    assert httpx.get(f"{served.url}/health/ready").json()["warnings"] == []


def test_health_says_that_a_version_was_refused(trained: Path) -> None:
    server = Server(trained).ready()
    try:
        (trained / "versions" / "0002" / "fold.onnx").unlink()
        versions.use_version(trained / "versions", "0002")
        end = time.monotonic() + 30
        while not (said := httpx.get(f"{server.url}/health/ready").json()["warnings"]) and time.monotonic() < end:
            time.sleep(0.05)
        assert "fold.onnx is missing" in said[0]
        assert version_of(server) == "v0-0001"
    finally:
        server.stop()


# -- model -------------------------------------------------------------------------------------------------------------


def listed(penchant: Penchant) -> dict[str, dict[str, Any]]:
    code, out, _ = penchant("model", "list", "--json")
    assert code == 0
    return {one["number"]: one for one in json.loads(out)}


def test_versions_are_listed_with_the_one_in_use(penchant: Penchant, trained: Path) -> None:
    found = listed(penchant)
    assert list(found) == ["0001", "0002"]
    assert (found["0001"]["name"], found["0001"]["kind"], found["0001"]["in_use"]) == ("v0-0001", "v0", True)
    assert (found["0002"]["kind"], found["0002"]["events"], found["0002"]["in_use"]) == ("trained", 720, False)
    assert 0 <= found["0002"]["ndcg10"] <= 1
    out = penchant("model", "list")[1]
    assert "in use  0001" in out
    assert "small-0002" in out
    assert "720" in out


def test_what_cannot_be_used_is_listed_with_the_reason_and_cannot_be_chosen(penchant: Penchant, trained: Path) -> None:
    folder = trained / "versions"
    for number in ("0003", "0004"):
        shutil.copytree(folder / "0002", folder / number)
    (folder / "0003" / "step.onnx").write_bytes(b"another")
    manifest = json.loads((folder / "0004" / "manifest.json").read_text())
    manifest["training"]["data"] = "of another log"
    (folder / "0004" / "manifest.json").write_text(json.dumps(manifest))
    (folder / "0005").mkdir()
    (folder / "backup").mkdir()
    (folder / "draft").mkdir()
    reasons = {number: one["refused"] for number, one in listed(penchant).items()}
    assert reasons["0001"] is reasons["0002"] is None
    assert "step.onnx is not the file" in reasons["0003"]
    assert "trained on another log" in reasons["0004"]
    assert "no manifest.json" in reasons["0005"]
    assert "its name is no number" in reasons["backup"]
    assert "never finished" in reasons["draft"]
    assert "trained on another log" in penchant("model", "list")[1]
    for number in ("3", "4", "5"):
        code, _, told = penchant("model", "use", number)
        assert code == 1
        assert f"versions/000{number}" in told
    assert penchant("model", "use", "7")[0] == 2
    assert listed(penchant)["0001"]["in_use"]


def test_one_chooses_a_version_and_goes_back(penchant: Penchant, trained: Path) -> None:
    code, out, _ = penchant("model", "use", "2")
    assert code == 0
    assert "small-0002 is in use" in out
    assert listed(penchant)["0002"]["in_use"]
    assert json.loads(penchant("model", "rollback", "--json")[1]) == {"in_use": "v0-0001"}
    assert listed(penchant)["0001"]["in_use"]
    code, _, told = penchant("model", "rollback")
    assert code == 2
    assert "no version was in use before" in told.lower()
    assert json.loads(penchant("model", "use", "small-0002", "--json")[1]) == {"in_use": "small-0002"}


def test_one_does_not_go_back_to_what_is_broken(penchant: Penchant, trained: Path) -> None:
    penchant("model", "use", "2")
    (trained / "versions" / "0001" / "item.onnx").unlink()
    code, _, told = penchant("model", "rollback")
    assert code == 1
    assert "Item.onnx is missing" in told
    assert listed(penchant)["0002"]["in_use"]


def test_a_version_of_another_encoder_is_not_of_this_folder(penchant: Penchant, trained: Path) -> None:
    path = trained / "versions" / "0002" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"encoder": "theirs", "encoder_fingerprint": "x"}))
    code, _, told = penchant("model", "use", "2")
    assert code == 1
    assert "reads texts by theirs, this folder by none" in told


def test_a_version_is_shown_with_its_card_and_files(penchant: Penchant, trained: Path) -> None:
    code, out, _ = penchant("model", "show", "2")
    assert code == 0
    assert "Trained on 720 events of 60 people" in out
    assert "step.onnx" in out
    assert "states.npz" in out
    found = json.loads(penchant("model", "show", "2", "--json")[1])
    assert found["manifest"]["name"] == "small-0002"
    assert found["sizes"]["states.npz"] == (trained / "versions" / "0002" / "states.npz").stat().st_size
    assert "Version 0: nothing was trained" in penchant("model", "show", "1")[1]


def test_two_versions_are_compared_side_by_side(penchant: Penchant, trained: Path) -> None:
    found = json.loads(penchant("model", "diff", "1", "2", "--json")[1])
    assert found["versions"] == ["v0-0001", "small-0002"]
    assert found["recipe"]["size"] == [None, "small"]
    assert found["data"]["events"] == [None, 720]
    assert found["metrics"]["ndcg10"][0] is None
    same = json.loads(penchant("model", "diff", "2", "2", "--json")[1])
    assert same["recipe"] == same["data"] == {}
    out = penchant("model", "diff", "1", "2")[1]
    assert all(text in out for text in ("Recipe", "Data", "Metrics", "v0-0001", "small-0002", "ndcg10"))
    assert "Recipe: no difference" in penchant("model", "diff", "2", "2")[1]


def test_versions_are_chosen_while_an_engine_has_the_folder_open(penchant: Penchant, trained: Path) -> None:
    with Engine.open(trained) as engine:
        assert penchant("model", "use", "2")[0] == 0
        assert penchant("model", "list")[0] == 0
        assert engine.use_chosen_version()
        assert engine.ingest([Event(user="u1", action="click", item="i1")]).accepted == 1


def test_where_there_are_no_versions_the_error_says_so(penchant: Penchant) -> None:
    code, _, told = penchant("model", "list", "--data", "nowhere")
    assert code == 2
    assert "Name a data folder with --data" in told
