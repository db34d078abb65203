"""What is wrong with the events: an examination is a function of columns that gives what it found.

    world = ...                                   # as `serving.doctor.reading` makes it of a log, or of files
    for finding in examine(world): ...            # the serious ones first

Notable: every finding has an example, a count, the rule with the numbers that follow from the data, and what to do.
Nothing is changed, and the log may be open in a server.

What it does not know: what a site is for. Its rules are simple ones, so a finding is a question, not a verdict.
"""

from __future__ import annotations

from collections.abc import Callable

from penchant.evaluation.doctor import actions, catalogue, people, repeats, times
from penchant.evaluation.doctor.world import SEVERITIES, Finding, World

Examination = Callable[[World], list[Finding]]

EXAMINATIONS: tuple[Examination, ...] = (
    actions.nothing,
    actions.refused,
    times.without_time,
    times.units,
    times.future,
    times.at_once,
    times.late,
    times.outages,
    times.coarse,
    repeats.duplicates,
    repeats.double_clicks,
    people.fast,
    people.greedy,
    people.regular,
    people.sleepless,
    people.one_for_many,
    people.once,
    catalogue.never_sent,
    catalogue.without_text,
    catalogue.dead,
    catalogue.gone_but_acted_on,
    catalogue.shared_texts,
    catalogue.unreadable,
    actions.unknown,
    actions.never_done,
    actions.without_value,
    actions.constant,
    actions.implausible,
)


def examine(world: World) -> list[Finding]:
    """Everything that is odd, the serious first, and among equals the largest share."""
    found = [finding for examination in EXAMINATIONS for finding in examination(world)]
    return sorted(found, key=lambda one: (SEVERITIES.index(one.severity), -one.count / max(one.of, 1)))
