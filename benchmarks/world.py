"""A made-up world for timings: items in clusters, people who stay near a few of them, popularity by Zipf's law.

For timings only; no quality figure is ever taken from it. Vectors are brought, so no text is read.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from penchant import Event, Item

CLUSTERS = 200
DIM = 64


class World:
    """`items` events and `interactions(n)`, the same for the same seed."""

    def __init__(self, items: int, people: int, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.size, self.people = items, people
        self.cluster = self.random.integers(0, CLUSTERS, items)
        self.members = [np.flatnonzero(self.cluster == c) for c in range(CLUSTERS)]
        self.tastes = self.random.integers(0, CLUSTERS, (people, 3))

    def items(self) -> Iterator[Event]:
        centres = self.random.standard_normal((CLUSTERS, DIM))
        for number in range(self.size):
            vector = centres[self.cluster[number]] + 0.7 * self.random.standard_normal(DIM)
            fields = {"title": f"Item {number}", "cluster": int(self.cluster[number])}
            yield Item(id=f"i{number}", fields=fields, vectors={"world": vector.round(4).tolist()}, time=1e9).event()

    def interactions(self, n: int, start: float = 1.6e9, per_second: float = 10.0) -> Iterator[Event]:
        people = self.random.integers(0, self.people, n)
        tastes = self.tastes[people, self.random.integers(0, 3, n)]
        draws = self.random.random(n) ** 2.5  # towards the front of a cluster: its popular items
        for k in range(n):
            members = self.members[tastes[k]]
            item = int(members[int(draws[k] * len(members))])
            yield Event(id=f"e{start:.0f}-{k}", user=f"u{people[k]}", action="click", item=f"i{item}",
                        time=start + k / per_second)  # fmt: skip
