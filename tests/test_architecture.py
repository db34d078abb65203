"""What may import what, read from the source: top-level and nested imports alike."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import penchant

ROOT = Path(penchant.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

# Imports go down this list, never up.
LAYERS = (
    ("types", "errors", "config", "threads", "clock", "durable", "expressions", "policies"),
    ("kernels", "models", "storage"),
    ("pipeline",),
    ("beside", "following", "showing", "seeding"),
    ("parts",),
    (
        "intake",
        "batches",
        "listing",
        "explaining",
        "writing",
        "records",
        "allowing",
        "arranging",
        "ceilings",
        "questions",
        "snapshots",
        "retention",
    ),
    ("engine",),
    ("learning", "evaluation"),
    ("serving", "__main__", "client"),
)
LEAF = "evaluation.metrics"  # imports nothing of penchant; anyone may import it
BESIDE = {
    ("storage", "kernels"),
    ("config", "errors"),
    ("listing", "allowing"),
    ("listing", "explaining"),
    ("listing", "arranging"),
    ("writing", "records"),
    ("batches", "intake"),
    ("arranging", "allowing"),
    ("expressions", "errors"),
    ("policies", "errors"),
    ("policies", "expressions"),
    ("policies", "types"),
    ("config", "policies"),
    ("config", "types"),
    ("learning", "evaluation"),
}  # imports within a layer, from one part to another
HEAVY = {"torch", "faiss", "numba", "onnxruntime", "onnx", "litestar"}


def module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    """Full names of everything that a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(path: Path) -> set[str]:
    """Modules of penchant that a file imports, without the "penchant."."""
    found = set()
    for name in imported(path):
        first, _, rest = name.partition(".")
        if first != "penchant":
            continue
        parts = rest.split(".") if rest else []
        while parts and not ((ROOT / Path(*parts)).is_dir() or (ROOT / Path(*parts)).with_suffix(".py").is_file()):
            parts.pop()  # a name inside a module
        found.add(".".join(parts) or {"Engine": "engine"}.get(rest, "types"))
    return found


def part(name: str) -> str:
    return name.split(".")[0]


def layer(name: str) -> int:
    return next(number for number, names in enumerate(LAYERS) if part(name) in names)


@pytest.mark.parametrize("path", [path for path in FILES if module(path)], ids=module)
def test_imports_go_one_way(path: Path) -> None:
    me = module(path)
    for other in ours(path) - {LEAF, me}:
        within = part(other) == part(me) or (part(me), part(other)) in BESIDE
        assert layer(other) < layer(me) or (layer(other) == layer(me) and within), f"{me} imports {other}"


@pytest.mark.parametrize("path", sorted((ROOT / "pipeline").glob("*.py")), ids=module)
def test_stages_of_the_pipeline_do_not_import_each_other(path: Path) -> None:
    assert {other for other in ours(path) if part(other) == "pipeline"} == set()


def test_metrics_are_a_leaf() -> None:
    assert ours(ROOT / "evaluation" / "metrics.py") == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_torch_is_imported_where_models_are_trained_and_nowhere_else(path: Path) -> None:
    if part(module(path)) != "learning" and not module(path).startswith("models.torch"):
        assert {name.split(".")[0] for name in imported(path)}.isdisjoint({"torch", "transformers"})
        assert not any(name.startswith("models.torch") for name in ours(path))


def test_an_engine_runs_without_torch() -> None:
    script = "import sys, penchant.engine, penchant.serving.cli; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "penchant.engine" in loaded
    assert "torch" not in loaded


def test_importing_penchant_imports_nothing_heavy() -> None:
    script = "import sys, penchant; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "penchant" in loaded
    assert set(loaded).isdisjoint(HEAVY | {"numpy"})


def test_a_client_carries_nothing_of_the_engine() -> None:
    script = "import sys, penchant.client; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert {name.split(".")[1] for name in loaded if name.startswith("penchant.")} == {"client", "errors", "types"}
    assert {name.split(".")[0] for name in loaded}.isdisjoint(HEAVY | {"numpy"})


def test_a_client_without_httpx_names_what_to_install() -> None:
    script = "import sys; sys.modules['httpx'] = None; import penchant.client"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert told.returncode != 0
    assert "pip install 'penchant[client]'" in told.stderr


def test_the_numeric_libraries_are_told_to_use_one_thread() -> None:
    script = "import os, penchant; print(*(os.environ[f'{name}_NUM_THREADS'] for name in ('OMP', 'OPENBLAS', 'NUMBA')))"
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PATH": "/usr/bin"}
    )
    assert found.stdout.split() == ["1", "1", "1"]


def test_the_checker_sees_nested_imports(tmp_path: Path) -> None:
    file = tmp_path / "nested.py"
    file.write_text("def f():\n    import torch.nn\n    from penchant.engine import Engine\n", encoding="utf-8")
    assert "torch.nn" in set(imported(file))
    assert ours(file) == {"engine"}
