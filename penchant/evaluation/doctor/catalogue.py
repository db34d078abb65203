"""Items: described or not, acted on or not, there or not, and whether their texts say something of their own."""

from __future__ import annotations

import numpy as np

from penchant.evaluation.doctor.world import DAY, Bools, Finding, Items, Longs, Severity, World, graded

_FEW, _HALF = 0.05, 0.5
_SEEN_AGAIN = 3  # times that somebody acts on an item that is not there; less is a page left open
_SHARED, _SHARED_ITEMS = 0.1, 5
_NEW = 7 * DAY
_SAMPLE, UNREADABLE = 2000, 0.2


def without_text(world: World) -> list[Finding]:
    """Nothing to read and no vector of its own: such an item is found by what people do alone."""
    items = world.items
    if items is None or not world.known.reads_texts:
        return []
    odd = np.flatnonzero(items.sent & (items.key == 0) & ~items.brought)
    of = int(items.sent.sum())
    if not len(odd):
        return []
    return [_of_items(world, odd, of, graded(len(odd), of, _FEW, _HALF), "items without text",
                      "no field holds text, and no vector was brought",
                      "Send a title or a description: until people have met such an item, nothing is known of "
                      "it.")]  # fmt: skip


def never_sent(world: World) -> list[Finding]:
    """Acted on, but not in the catalogue: never shown in any list."""
    items = world.items
    if items is None:
        return []
    acted = np.flatnonzero(world.per_item > 0)
    odd = acted[~items.sent[acted]]
    if not len(odd):
        return []
    events, total = int(world.per_item[odd].sum()), len(world.events.item)
    most = int(odd[world.per_item[odd].argmax()])
    return [
        Finding(
            severity=graded(events, total, 0.01, 0.2),
            name="items acted on but never sent",
            count=len(odd),
            of=len(acted),
            unit="items",
            example=f"{world.item(most)}: {world.per_item[most]:,} events; {events / total:.1%} of all events "
            "are on such items",
            rule="an event names it, no item event does",
            advice="Send these items too (removed ones as unavailable), or check that both use the same ids: what was "
            "never sent is never listed.",
        )
    ]


def dead(world: World) -> list[Finding]:
    """Sent, and never acted on, new ones aside."""
    items = world.items
    if items is None or not len(world.events.time):
        return []
    odd = np.flatnonzero(items.sent & (items.gone < 0) & (world.per_item == 0) & ~_new(world, items))
    of = int((items.sent & (items.gone < 0)).sum())
    if len(odd) < _FEW * of or not len(odd):
        return []
    return [_of_items(world, odd, of, graded(len(odd), of, _HALF, 2.0), "items never acted on",
                      f"no event names it; {_FEW:.0%} of the items or more are so",
                      "Dead ones: send available=false. Alive ones: check that events use the same ids, and show "
                      "them now and then.")]  # fmt: skip


def _new(world: World, items: Items) -> Bools:
    """Sent within a week before the newest event or later: nobody had the time. Unless that is so of most items,
    as after an import, where the times of items say when they were imported."""
    newest = float(world.dated.time.max()) if len(world.dated.time) else 0.0
    new = items.sent & (np.nan_to_num(items.created, nan=-np.inf) >= newest - _NEW)
    return new if new.sum() < _HALF * items.sent.sum() else np.zeros_like(new)


def gone_but_acted_on(world: World) -> list[Finding]:
    """Removed or unavailable, and still acted on."""
    items = world.items
    if items is None or not (items.gone >= 0).any():
        return []
    events = world.events
    of_item = np.flatnonzero(events.item >= 0)
    gone = items.gone[events.item[of_item]]
    after = of_item[(gone >= 0) & (of_item >= gone)]
    counts = np.bincount(events.item[after], minlength=len(items.gone))
    odd = np.flatnonzero(counts >= _SEEN_AGAIN)
    if not len(odd):
        return []
    most = int(odd[counts[odd].argmax()])
    return [
        Finding(
            severity=graded(int(counts[odd].sum()), len(events.time), 0.001, 2.0),
            name="items not available, but acted on",
            count=len(odd),
            of=int((items.gone >= 0).sum()),
            unit="items",
            example=f"{world.item(most)}: {counts[most]:,} events since it was removed or made unavailable",
            rule=f"{_SEEN_AGAIN} events or more on an item after it was removed or sent as unavailable",
            advice="Send available=true when an item is back: until then no list shows it.",
        )
    ]


def shared_texts(world: World) -> list[Finding]:
    """The same words for many items: to the language model they are one."""
    items = world.items
    if items is None or not world.known.reads_texts:
        return []
    told = np.flatnonzero(items.sent & (items.key != 0) & ~items.brought)
    if not len(told):
        return []
    _, inverse, counts = np.unique(items.key[told], return_inverse=True, return_counts=True)
    odd = told[counts[inverse] > 1]
    if len(odd) < max(_SHARED_ITEMS, _SHARED * len(told)):
        return []
    most = int(told[inverse == counts.argmax()][0])
    return [
        Finding(
            severity=graded(len(odd), len(told), 0.5, 0.95),
            name="texts that are the same for many items",
            count=len(odd),
            of=len(told),
            unit="items",
            example=f"{counts.max():,} items say “{_cut(items.text[most])}”, {world.item(most)} among them",
            rule=f"{_SHARED:.0%} of the items or more share their text with another one",
            advice="Add what tells them apart (a name, a brand, a size), or leave out what all have in common "
            "(`template` in penchant.toml).",
        )
    ]


def unreadable(world: World) -> list[Finding]:
    """Texts in a language or script that the encoder does not know."""
    items, share_of = world.items, world.known.unreadable
    if items is None or share_of is None:
        return []
    told = np.flatnonzero(items.sent & (items.key != 0))
    sample = told[:: -(-len(told) // _SAMPLE)] if len(told) else told
    odd = [item for item in sample.tolist() if share_of([items.text[item]]) > UNREADABLE]
    if not odd:
        return []
    return [
        Finding(
            severity=graded(len(odd), len(sample), 0.01, UNREADABLE),
            name="texts that the encoder cannot read",
            count=len(odd),
            of=len(sample),
            unit="items",
            example=f"{world.item(odd[0])}: “{_cut(items.text[odd[0]])}”",
            rule=f"more than {UNREADABLE:.0%} of the characters unknown to it, of {len(sample):,} texts looked at",
            advice="Set `encoder` in penchant.toml to a model that reads this language (bge-small-zh-v1.5 for "
            "Chinese, say), and send the items again.",
        )
    ]


def _of_items(world: World, odd: Longs, of: int, severity: Severity, name: str, rule: str, advice: str) -> Finding:
    example = world.item(int(odd[0]))
    return Finding(
        severity=severity,
        name=name,
        count=len(odd),
        of=of,
        unit="items",
        example=example,
        rule=rule,
        advice=advice,
    )


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
