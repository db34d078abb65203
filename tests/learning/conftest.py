"""One thread for torch: the tests are small, and sums are to be of one order."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENCHANT_TRAINING_THREADS", "1")
