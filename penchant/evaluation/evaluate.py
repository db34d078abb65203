"""How good are the lists, by a protocol, with intervals, and on the slices where averages hide the answer?

The real engine is driven, whatever version it serves: prepared as it stood at the split, asked with `recommend`, told
what happened. Every ``every``-th event is asked; all are learned. Slices of the events that are asked:

    all              every one of them
    nothing known    first-ever events of a person
    history whole    the others, asked with all that is known; `last N` asks the same ones
    last 1, 3, 5     asked by a guest of whom only so many events are known (`asking`)
    beyond 200, ...  after so many events of the same person
    cold items       events on a seeded tenth of the items, of which another engine was never told an interaction
    cold when met the same events, asked of the engine that was told
    counts frozen    states live, counts stand as at the split (time split only)
    whole future     one list a person at the split; all the person did after it is relevant (time split only)

Where lists hide what was seen, an event on an item that the person had met before cannot be predicted: it is learned,
not asked, and its number is reported. What the version says of actions and ratings (time split only) is asked of every
interaction all the same, on the way (`judging`).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from penchant.engine import Engine
from penchant.evaluation.asking import Asker, Listed
from penchant.evaluation.figures import KS, Figures, Lists, rankings
from penchant.evaluation.folders import Progress, World, learn, opened, prepare, silent
from penchant.evaluation.judging import Judge, Judged
from penchant.evaluation.protocols import FEW, LONG, without
from penchant.evaluation.scope import Scope, check, choose, sent
from penchant.evaluation.trials import Trial

Longs = NDArray[np.int64]

UNTRAINED = "v0-"  # how the names of versions begin that nothing was learned for
_ORDER = ("all", "nothing known", "history whole", *(f"last {n}" for n in FEW), *(f"beyond {n}" for n in LONG),
          "cold when met", "cold items", "counts frozen", "whole future")  # fmt: skip


class Slice(Struct):
    """Figures of some lists; none where there is no list."""

    lists: int
    people: int
    figures: Figures


class Report(Struct, omit_defaults=True):
    """What an evaluation found. ``repeated``: events left out, since lists hide what was seen; ``unsent``: events on
    items that were never sent as items, which no list can hold; ``words``: the protocol for people to read;
    ``actions``, ``ratings``: of the probabilities and the stars that the version gives, where it does."""

    protocol: str
    version: str
    moment: float | None
    catalogue: int
    learned: int
    repeated: int
    unsent: int
    words: list[str]
    slices: dict[str, Slice]
    actions: dict[str, Judged] = {}
    ratings: Judged | None = None


class _Noted:
    """Places and lists, as they come."""

    def __init__(self) -> None:
        self.places, self.listed = list[int](), list[Listed]()

    def add(self, place: int, listed: Listed) -> None:
        self.places.append(place)
        self.listed.append(listed)

    def lists(self, people: Longs) -> Lists:
        """One relevant item a list."""
        listed = np.array(self.listed, np.int32).reshape(-1, max(KS))
        return Lists(np.array(self.places, np.int64), np.arange(len(people)), people, listed)


def evaluate(world: World, trial: Trial, scope: Scope | None = None, progress: Progress | None = None) -> Report:
    """Run a trial. Raises InvalidInput for an unknown slice, or when nothing can be listed or asked."""
    scope = scope or Scope()
    check(scope)
    run = _Run(world, trial, scope, progress or silent)
    with tempfile.TemporaryDirectory(prefix="penchant-evaluate-") as scratch:
        run.play(Path(scratch))
    return run.report()


class _Run:
    def __init__(self, world: World, trial: Trial, scope: Scope, progress: Progress) -> None:
        self.world, self.trial, self.scope, self.progress = world, trial, scope, progress
        self.sent = sent(world)
        self.asked = choose(trial, scope, self.sent)
        self.found: dict[str, Lists] = {}
        self.version = ""
        self.judge: Judge | None = None

    def play(self, scratch: Path) -> None:
        folder, told, slices = scratch / "learned", self.asked, self.scope.slices
        prepare(folder, self.world, self.trial.learned, self.progress)
        if frozen := self.trial.lives and "frozen" in slices:
            shutil.copytree(folder, scratch / "frozen")
        everyone = np.ones(len(told.rows), np.bool_)
        self._warm(folder)
        if "cold" in slices:
            self._cold(scratch / "cold")
        if frozen:
            with opened(scratch / "frozen", self.world.settings) as engine:
                engine.parts.counts.frozen = True
                self.found["counts frozen"] = self._ask(_Told(engine, self.trial), everyone, "frozen")["all"]

    def _warm(self, folder: Path) -> None:
        """The engine that is told everything, and all that can be asked of it."""
        told, slices = self.asked, self.scope.slices
        with opened(folder, self.world.settings) as engine:
            future = self._future(engine) if self.trial.lives and "future" in slices else None
            few = FEW if "few" in slices else ()
            if self.trial.lives:
                self.judge = Judge(engine, self.trial.asked, self.sent, self.scope.every)
            telling = _Told(engine, self.trial, self.judge)
            found = self._ask(telling, np.ones(len(told.rows), np.bool_), "asking", few)
            telling.judge_the_rest()
        everything = self.found["all"] = found.pop("all")
        self.found["nothing known"] = everything.where(told.earlier == 0)
        if few:
            self.found["history whole"] = everything.where(told.earlier > 0)
        self.found |= found
        for length in LONG if "long" in slices else ():
            self.found[f"beyond {length}"] = everything.where(told.earlier > length)
        if "cold" in slices:
            self.found["cold when met"] = everything.where(told.cold)
        if future is not None:
            self.found["whole future"] = future

    def _cold(self, folder: Path) -> None:
        """The same questions of an engine that was told nothing of the items asked for."""
        trial = self.trial.keeping_back(self.asked.withheld)
        prepare(folder, self.world, trial.learned, lambda what, done, of: self.progress(f"cold: {what}", done, of))
        with opened(folder, self.world.settings) as engine:
            self.found["cold items"] = self._ask(_Told(engine, trial), self.asked.cold, "cold: asking")["all"]

    def _ask(self, told: _Told, mask: NDArray[np.bool_], what: str, few: Sequence[int] = ()) -> dict[str, Lists]:
        """Ask for the chosen events in their order; where the trial lives, each is learned afterwards."""
        rows, people, known = self.asked.rows[mask], self.asked.people[mask], self.asked.earlier[mask] > 0
        noted = {name: _Noted() for name in ("all", *(f"last {last}" for last in few))}
        asker = self._begun(told.engine, told.trial)
        for number, row in enumerate(rows.tolist()):
            told.upto(row)
            event = told.trial.asked[row]
            noted["all"].add(*asker.person(event))
            for last in few if known[number] else ():
                noted[f"last {last}"].add(*asker.guest(event, last))
            self.progress(what, number + 1, len(rows))
        self.version = asker.version
        return {name: one.lists(people if name == "all" else people[known]) for name, one in noted.items()}

    def _begun(self, engine: Engine, trial: Trial) -> Asker:
        asker = Asker(engine, self.scope.seen, self.scope.depth)
        if trial.known:
            engine.parts.counts.frozen = True
            learn(engine, trial.known, (b"known", len(trial.known)))
        return asker

    def _future(self, engine: Engine) -> Lists:
        """One list a person at the split; relevant is every item that the person met only afterwards."""
        asker, noted = Asker(engine, self.scope.seen, self.scope.depth), _Noted()
        met = {(event.user, event.item) for event in self.trial.learned} if self.scope.seen == "ever" else set()
        later: dict[str | None, dict[str, None]] = {}
        for event in self.trial.asked:
            if event.item is not None and (event.user, event.item) not in met:
                later.setdefault(event.user, {})[event.item] = None
        chosen = list(later.items())[:: self.scope.every]
        lists = []
        for number, (user, items) in enumerate(chosen):
            places, listed = asker.future(user, self.trial.moment or 0.0, list(items))
            noted.places += places
            noted.listed.append(listed)
            lists += [number] * len(places)
            self.progress("future", number + 1, len(chosen))
        return noted.lists(np.arange(len(chosen)))._replace(lists=np.array(lists, np.int64))

    def report(self) -> Report:
        unsent = sum(self.trial.asked[row].item not in self.sent for row in self.asked.rows.tolist())
        return Report(
            protocol=self.trial.name,
            version=self.version,
            moment=self.trial.moment,
            catalogue=len(self.sent),
            learned=len(self.trial.learned),
            repeated=self.asked.repeated,
            unsent=unsent,
            words=[*self.trial.words, *self._in_words(unsent)],
            slices={name: _slice(self.found[name], len(self.sent)) for name in _ORDER if name in self.found},
            actions=self.judge.actions() if self.judge is not None else {},
            ratings=self.judge.ratings() if self.judge is not None else None,
        )

    def _in_words(self, unsent: int) -> list[str]:
        scope, asked = self.scope, self.asked
        said = [f"The whole catalogue of {len(self.sent):,} items is ranked by version {self.version}; among equal "
                f"scores, the item that was mentioned first goes first. A place beyond {scope.depth} counts as none: "
                f"it gains nothing, and its rank is the last, {len(self.sent):,}."]  # fmt: skip
        if scope.seen == "ever":
            said.append(f"Items that the person had met are not listed, so {asked.repeated:,} events on such items are "
                        "learned and not asked.")  # fmt: skip
        else:
            said.append("Items that the person had met may be listed again.")
        if scope.every > 1:
            said.append(f"One of {scope.every} events is asked; all are learned.")
        if unsent:
            said.append(f"{unsent:,} events asked for are on items that were never sent as items: no list holds them.")
        if self.world.train is None and not self.version.startswith(UNTRAINED):
            said.append(f"The figures are honest only if version {self.version} was trained on nothing asked for here.")
        said += self.judge.words() if self.judge is not None else []
        return [*said, "Intervals are 95%, by bootstrap over people."]


class _Told:
    """Tells an engine what was asked for, in order, where the trial lives; a judge asks of each event just before."""

    def __init__(self, engine: Engine, trial: Trial, judge: Judge | None = None) -> None:
        self.engine, self.trial, self._judge = engine, trial, judge
        self._done = self._judged = 0

    def upto(self, row: int) -> None:
        """All events before a row."""
        judge = self._judge
        while judge is not None and self._judged < len(judge.rows) and judge.rows[self._judged] < row:
            judged = int(judge.rows[self._judged])
            self._learn(judged)
            judge.ask(judged)
            self._judged += 1
        self._learn(row)

    def judge_the_rest(self) -> None:
        """On to the last event that the judge asks of, which may come after all that can be listed."""
        if self._judge is not None and len(self._judge.rows):
            self.upto(int(self._judge.rows[-1]) + 1)

    def _learn(self, row: int) -> None:
        batch = without(self.trial.asked[self._done : row], self.trial.untold)
        if batch and self.trial.lives:
            learn(self.engine, batch, (b"asked", row))
        self._done = max(self._done, row)


def _slice(lists: Lists, catalogue: int) -> Slice:
    size = len(lists.people)
    return Slice(size, len(np.unique(lists.people)), rankings(lists, catalogue) if size else {})
