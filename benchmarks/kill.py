"""kill -9 of a real process while it takes events in, many times over on one folder: nothing acknowledged may be lost.

    make bench-kill

Each life goes on in the same folder, writes a snapshot every 97 events, and is killed after a random number of
acknowledgements. Afterwards every acknowledged id must be in the log, and what was lived (states, counts, lists) must
equal what is rebuilt from it.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from rich.progress import track

from benchmarks.rows import write_row
from penchant import Engine, Query

KILLS, LONGEST = 200, 120
PEOPLE, ITEMS = 7, 40
START = 1.6e9
_INGESTS = f"""
import sys
from penchant import Engine, Event
folder, life, now = sys.argv[1], sys.argv[2], float(sys.argv[3])
with Engine.open(folder, encoder="none", snapshot_every=97) as engine:
    for turn in range(10**6):
        events = [Event(id=f"{{life}}-{{turn}}-{{k}}", user=f"p{{(turn + k) % {PEOPLE}}}",
                        item=f"i{{(turn * k) % {ITEMS}}}", action="click", time=now + turn)
                  for k in range(1 + turn % 5)]
        for name in engine.ingest(events).ids:
            print(name, flush=True)
"""


def main() -> None:
    chance, acknowledged = random.Random(7461), set[str]()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "data"
        for life in track(range(KILLS), "kill -9"):
            acknowledged |= ingest_until_killed(folder, life, chance.randrange(1, LONGEST))
        with Engine.open(folder, encoder="none") as engine:
            kept = {one.event.id for batch in engine.parts.log.replay() for one in batch}
            lived = portrait(engine)
            engine.rebuild()
            equal = bool(np.allclose(lived, portrait(engine), atol=1e-5))
    lost = len(acknowledged - kept)
    print(f"{KILLS} kills, {len(acknowledged)} events acknowledged, {lost} lost; rebuilt equals lived: {equal}")
    write_row("kill", data=f"{PEOPLE} people, {ITEMS} items, batches of 1 to 5", seeds=1,
              protocol="kill -9 after a random number of acknowledgements, one folder, durability=process",
              figures={"kills": KILLS, "acknowledged": len(acknowledged), "lost": lost,
                       "rebuilt_equal": float(equal)})  # fmt: skip
    sys.exit(0 if equal and not lost else 1)


def ingest_until_killed(folder: Path, life: int, after: int) -> set[str]:
    """A real process that ingests; killed once it has acknowledged so many events. What it acknowledged."""
    command = [sys.executable, "-c", _INGESTS, str(folder), str(life), str(START + 1000 * life)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = {process.stdout.readline().strip() for _ in range(after)}
        os.kill(process.pid, signal.SIGKILL)
        acknowledged |= {line.strip() for line in process.stdout if line.endswith("\n")}
    return acknowledged - {""}


def portrait(engine: Engine) -> np.ndarray:
    """States, counts and lists of everybody, as one row of numbers."""
    people = [engine.parts.log.people.get(f"p{k}") for k in range(PEOPLE)]
    engine.parts.states.settle(people)
    counts = engine.parts.counts
    rows = np.zeros((2, ITEMS, ITEMS))
    for table, kept in zip(rows, (counts.transitions, counts.neighbours), strict=True):
        for item in range(ITEMS):
            part = slice(kept.start[item], kept.start[item] + kept.size[item])
            table[item, kept.ids[part]] = kept.counts[part]
    slates = [engine.recommend(Query(user=f"p{k}", time=2e9, seen="allow")) for k in range(PEOPLE)]
    scores = [candidate.score for slate in slates for candidate in slate.items]
    states = engine.parts.states.store.now[people]
    return np.concatenate([states.ravel(), rows.ravel(), counts.totals[:ITEMS], counts.outgoing[:ITEMS], scores])


if __name__ == "__main__":
    main()
