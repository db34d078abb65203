"""What a `tryout.Report` lets a team expect, in words, and what it does not.

Said as certain is only what a 95% interval of a paired difference leaves no doubt about. Few people make wide
intervals, and below a handful of them not even an interval says much: then that is said first.
"""

from __future__ import annotations

from collections.abc import Iterator

from penchant.evaluation.baselines import BASELINES
from penchant.evaluation.tryout import HOURLY, NO_TEXTS, NOW, TRAINED, VERSION_0, Difference, Report

_FEW_PEOPLE, _FEW_EVENTS = 30, 200
_WIDE = 0.5  # of the figure itself
_MANY = 0.2  # of the later events
_SIGNALS = [name for name in BASELINES if name != "popularity"]


def expectations(report: Report) -> list[str]:
    """Sentences, the most important first."""
    return [*_enough(report), *_popularity(report), *_simple(report), *_trained(report), *_texts(report),
            *_freshness(report), *_hourly(report), *_repeats(report), *_newcomers(report)]  # fmt: skip


def too_little(report: Report) -> bool:
    """Whether this is too little data to say anything."""
    return report.asked_people < _FEW_PEOPLE or report.asked < _FEW_EVENTS


def _enough(report: Report) -> Iterator[str]:
    ours = report.lists[VERSION_0]
    low, high = ours.ndcg10_interval
    if too_little(report):
        yield (f"This is too little data to say much: {report.asked:,} events of {report.asked_people:,} people were "
               f"asked for, and below {_FEW_EVENTS} events or {_FEW_PEOPLE} people even the intervals are too narrow. "
               "Take all that follows as a hint.")  # fmt: skip
    elif high - low > _WIDE * ours.ndcg10:
        yield (f"The intervals are wide (NDCG@10 of version 0 lies between {low:.3f} and {high:.3f}): more people, or "
               "a longer log, would tell more.")  # fmt: skip


def _popularity(report: Report) -> Iterator[str]:
    ours, theirs, gain = report.lists[VERSION_0], report.lists["popularity"], report.gains["popularity"]
    told = f"NDCG@10 {ours.ndcg10:.3f} against {theirs.ndcg10:.3f}; the difference lies {_between(gain)}"
    if not gain.sure:
        yield f"Version 0, without training, cannot be told from popularity here: {told}."
    elif gain.value > 0:
        yield f"Version 0, without training, orders {_times(ours.ndcg10, theirs.ndcg10)} popularity: {told}."
    else:
        yield f"Popularity orders better than version 0 here: {told}. Train on your events, or send items' texts."
    yield (f"Of ten places, the item that people turned to next stood in one for {ours.hr10:.1%} of the events "
           f"(popularity: {theirs.hr10:.1%}).")  # fmt: skip


def _simple(report: Report) -> Iterator[str]:
    name = max(_SIGNALS, key=lambda one: report.lists[one].ndcg10)
    best, gain = report.lists[name].ndcg10, report.gains[name]
    if not gain.sure:
        yield f"The best simple signal, {name} ({best:.3f}), cannot be told from version 0."
    elif gain.value < 0:
        yield f"One simple signal alone, {name} ({best:.3f}), orders better than version 0, {_by(gain)}."
    else:
        yield f"It also orders better than the best simple signal, {name} ({best:.3f}), {_by(gain)}."


def _trained(report: Report) -> Iterator[str]:
    if TRAINED not in report.lists:
        return
    gain, ours = report.gains[TRAINED], report.lists[TRAINED].ndcg10
    if not gain.sure:
        yield f"Training cannot be told from version 0 on this data ({ours:.3f}): more events may change that."
    elif gain.value < 0:
        yield f"Training pays: NDCG@10 {ours:.3f}, better than version 0 {_by(gain)}."
    else:
        yield (f"Training does not pay yet: NDCG@10 {ours:.3f}, less than version 0 {_by(gain)}. `penchant train` puts "
               "a version in use only where it beats version 0.")  # fmt: skip


def _texts(report: Report) -> Iterator[str]:
    gain = report.gains.get(NO_TEXTS)
    if gain is None:
        yield ("The items' texts were not read here, so new items and first clicks have little to go by: titles and "
               "descriptions would help them.")  # fmt: skip
    elif not gain.sure:
        yield ("Whether the items' texts help cannot be told on these events; they matter most for new items and for "
               "people of whom little is known.")  # fmt: skip
    elif gain.value > 0:
        yield f"The items' texts help, {_by(gain)}."
    else:
        yield f"The items' texts do not help version 0 here: without them it orders better, {_by(gain)}."


def _freshness(report: Report) -> Iterator[str]:
    if report.whole_days:
        yield ("The times of this log are whole days: what freshness is worth within a day cannot be seen in it. Send "
               "times with seconds to know.")  # fmt: skip
        return
    fresh = report.staleness[NOW].ndcg10
    costs = {name: report.gains[name] for name in report.staleness if name != NOW}
    sure = [name for name, gain in costs.items() if gain.sure and gain.value > 0]
    better = [name for name, gain in costs.items() if gain.sure and gain.value < 0]
    pace = _pace(report.gap)
    if better:
        yield f"Oddly, lists that know less order better here: {', '.join(f'{name} late' for name in better)}."
    if sure:
        lost = ", ".join(f"{name} late {costs[name].value / fresh:.0%}" for name in sure)
        yield f"Freshness matters here. Of version 0's NDCG@10 is lost: {lost}.{pace}"
    elif not better:
        yield f"That states and counts are up to an hour late does not show on these events.{pace}"


def _pace(gap: float | None) -> str:
    if gap is None:
        return ""
    return f" Half of the events come within {_duration(gap)} of the same person's last one."


def _hourly(report: Report) -> Iterator[str]:
    gain, theirs = report.gains[HOURLY], report.lists[HOURLY].ndcg10
    if report.whole_days:
        return
    if gain.sure and gain.value > 0:
        yield (f"The same lists made once an hour reach {theirs:.3f}; made when they are asked for, they are better "
               f"{_by(gain)}.")  # fmt: skip
    elif gain.sure:
        yield f"Oddly, lists made once an hour ({theirs:.3f}) order better here, {_by(gain)}."
    else:
        yield f"Lists made once an hour ({theirs:.3f}) cannot be told from lists made when they are asked for."


def _repeats(report: Report) -> Iterator[str]:
    share = report.repeated / report.later
    if share >= _MANY:
        yield (f"{share:.0%} of the later events are on what the person had met before: lists hide that, so it was not "
               "asked. Where people come back to the same things, ask for those too: --seen allow.")  # fmt: skip


def _newcomers(report: Report) -> Iterator[str]:
    if report.newcomers >= 0.01:
        yield (f"{report.newcomers:.0%} of the events asked for are the very first of a person: nothing but popularity "
               "can be known then.")  # fmt: skip


def _between(gain: Difference) -> str:
    return f"between {gain.low:+.3f} and {gain.high:+.3f} (95%)"


def _by(gain: Difference) -> str:
    """The size of a difference, whichever way it goes."""
    low, high = sorted((abs(gain.low), abs(gain.high)))
    return f"by {abs(gain.value):.3f} ({low:.3f} to {high:.3f})"


def _times(ours: float, theirs: float) -> str:
    if theirs <= 0:
        return "better than"
    ratio = ours / theirs
    return f"{ratio:.1f} times as well as" if ratio >= 2 else f"{ratio - 1:.0%} better than"


def _duration(seconds: float) -> str:
    for size, unit in ((86_400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return "a second"
