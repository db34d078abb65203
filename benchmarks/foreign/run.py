"""Fit one peer in this process and leave its places: `python -m foreign.run MODULE NAME TASK FOLDER SETTINGS`.

``SETTINGS`` is a JSON object. Leaves ``NAME.npy`` (places, [questions]) and ``NAME.json``: seconds of the fit, the most
memory that the process held by its end (its data and libraries included), seconds of asking, RMSE of rating predictors.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path

import numpy as np

from .task import Fitted, Task, peak_mb, places


def main(module: str, name: str, path: str, folder: str, settings: str) -> None:
    fit = importlib.import_module(f"foreign.{module}").FITS[name]
    task = Task.read(Path(path))
    begun = time.monotonic()
    fitted = fit(task, **json.loads(settings))
    told = {"fit_s": time.monotonic() - begun, "rss_mb": peak_mb()}
    begun = time.monotonic()
    found = places(task, fitted)
    told["ask_s"] = time.monotonic() - begun
    np.save(Path(folder) / f"{name}.npy", found)
    (Path(folder) / f"{name}.json").write_text(json.dumps(told | rmse(task, fitted)), encoding="utf-8")


def rmse(task: Task, fitted: Fitted) -> dict[str, float]:
    if fitted.rates is None:
        return {}
    return {"rmse": float(np.sqrt(np.mean((fitted.rates() - task.value[task.cut :]) ** 2)))}


if __name__ == "__main__":
    main(*sys.argv[1:])
