"""Penchant: real-time personalization that understands content.

from penchant import Engine, Event, Item, Query

with Engine.open("data") as engine:
    engine.ingest([Item(id="alien", fields={"title": "Alien", "year": 1979}).event()])
    engine.ingest([Event(user="ann", action="click", item="alien")])
    slate = engine.recommend(Query(user="ann", limit=10))
"""

from __future__ import annotations

import os

# Before any numeric library is imported: a second thread of theirs makes a small list slower, not faster.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from penchant.errors import (
    Corrupt,
    Forbidden,
    InvalidInput,
    NotFound,
    Overloaded,
    PenchantError,
    Unauthorized,
    Unavailable,
)
from penchant.types import (
    Auction,
    Candidate,
    Condition,
    Content,
    Contents,
    Event,
    Item,
    Moved,
    Pin,
    Policy,
    Promotion,
    Query,
    Reason,
    Receipt,
    Slate,
    Writing,
)

__version__ = "0.1.0"
__all__ = [
    "Auction",
    "Candidate",
    "Condition",
    "Content",
    "Contents",
    "Corrupt",
    "Engine",
    "Event",
    "Forbidden",
    "InvalidInput",
    "Item",
    "Moved",
    "NotFound",
    "Overloaded",
    "PenchantError",
    "Pin",
    "Policy",
    "Promotion",
    "Query",
    "Reason",
    "Receipt",
    "Slate",
    "Unauthorized",
    "Unavailable",
    "Writing",
    "__version__",
]


def __getattr__(name: str) -> object:
    """`Engine` is imported when it is first asked for, so that `import penchant` stays quick."""
    if name == "Engine":
        from penchant.engine import Engine

        return Engine
    raise AttributeError(f"module 'penchant' has no attribute {name!r}")
