"""A circle of items that people walk round, always to the next one: whatever comes next can be known."""

from __future__ import annotations

from penchant import Event, Item

ROUND, PEOPLE = 12, 10
START = 1.6e9
NO_TEXT = {"encoder": "none"}


def items(count: int = ROUND) -> list[Event]:
    vectors = [[1.0 if k == n else 0.0 for k in range(count)] for n in range(count)]
    return [Item(id=f"i{n}", vectors={"v": vectors[n]}, time=START).event() for n in range(count)]


def walk(gap: float = 10.0) -> list[Event]:
    """Each person starts elsewhere and sees most of the circle, in turns ``gap`` seconds apart."""
    steps = [(turn, person) for turn in range(ROUND - 2) for person in range(PEOPLE)]
    return [
        Event(
            id=f"e{turn}-{person}",
            user=f"p{person}",
            action="click",
            item=f"i{(person + turn) % ROUND}",
            time=START + gap * turn + 0.1 * person,
        )
        for turn, person in steps
    ]


def split_at(events: list[Event], turn: int) -> float:
    return events[turn * PEOPLE].time or 0.0
