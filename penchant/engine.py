"""The whole product on one screen: what happens to events, and what happens to a query.

    ingest      check -> log (durable from here on) -> state, counts, catalogue
    recommend   f(x) of the person -> candidates from every source -> features and scores -> filters -> slate

Every later module is a detail of one of these verbs. `Parts` wires them together; its names recur below:

    log      the events, and the numbers that stand for people and items in all other parts
    states   f(x): a person's state as a vector to be multiplied with item vectors; `Asked` is what one list is asked by
    index    item vectors; an item is *known* once it was sent, and *ready* when it may be shown
    counts   what followed what, what was met together, what is popular, who has seen what
    texts    reads item texts in a thread of its own (a new item has no vector until then); words reads typed words

`parts.lock` (reentrant) guards all but the log and the language model, which have locks of their own. Events are
applied in the order of the log: `ingest` sees to it, and so must a server that calls `write` and `apply` itself.
After a crash, opening replays what the log holds beyond the newest snapshot, through the same code.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from penchant import (
    allowing,
    ceilings,
    explaining,
    intake,
    kernels,
    listing,
    policies,
    questions,
    records,
    seeding,
    writing,
)
from penchant.batches import Batch
from penchant.clock import Clock
from penchant.config import FILE, LIVE, changed, load_settings
from penchant.errors import InvalidInput, Unavailable
from penchant.following import Follower, mark
from penchant.listing import Decided
from penchant.models import versions
from penchant.parts import Parts
from penchant.pipeline.events import check
from penchant.pipeline.ranking import Ranked
from penchant.retention import Rounds
from penchant.snapshots import Snapshots
from penchant.storage.log_reading import Logged
from penchant.types import (
    Contents,
    Erased,
    Event,
    Feedback,
    Item,
    Language,
    Page,
    Profile,
    Query,
    Receipt,
    Slate,
    Writing,
)

_HALF_DONE = "an event could not be applied: open the folder again, it is rebuilt"


class Engine:
    """Open one with `Engine.open(folder)`; close it, or use it as a context manager. Safe to call from many threads."""

    def __init__(self, parts: Parts) -> None:
        self.parts, self.lock, self._order = parts, parts.lock, threading.Lock()
        self._clock = Clock(parts.log.newest())
        self.snapshots = Snapshots(parts)
        self.retention = Rounds(parts, self._send, self._clock.now)
        self.tracks = False  # whether lists of the present moment count as shown, where the query does not say
        self.heard: Callable[[Sequence[Logged]], None] = _say_nothing  # of events that another process wrote
        self._followers: list[Follower] = []

    @classmethod
    def open(cls, folder: str | Path, *, follow: str | Path | None = None, **flags: Any) -> Engine:
        """Open a data folder (made when it is not there) and bring it to where the log stands.

        ``follow``: a folder that another process owns. Its log, settings and versions are followed: every question is
        answered with all that is committed there; ``folder`` holds what is derived, and events are refused.
        Raises Unavailable when another process holds it or no encoder is found, InvalidInput for a wrong setting,
        NotFound where there is no log to follow.
        """
        folder, home = Path(folder), Path(follow) if follow is not None else None
        settings = load_settings(home or folder, **flags)
        kernels.warm()
        if home is not None:
            seeding.seed(home, folder)
        engine = cls(Parts(folder, settings, home))
        try:
            engine.parts.load()
            engine.parts.catch_up(engine._take)
            engine._restore_shown()
            engine.use_chosen_version()
        except BaseException:
            engine.parts.close()
            raise
        return engine

    # -- events --------------------------------------------------------------------------------------------------------

    def ingest(self, events: Iterable[Event], *, source: tuple[bytes, int] | None = None) -> Receipt:
        """Take events in, in the order given. On return they are durable and every later list knows them.

        Events that are not valid are refused one by one, in the receipt; the rest is taken. ``source`` is (file hash,
        rows done) of an import, remembered with the events, so that it can go on where it stopped.
        """
        batch = self.accept(list(events), whole=source is not None)  # an import later goes on behind them
        with self._order:
            self.write([batch], source)
            receipt = self.apply([batch])[0]
        if receipt.erased:
            self.snapshots.wait()
        return receipt

    def accept(self, events: Sequence[Event], whole: bool = False) -> Batch:
        """Check events, and let the language model read the words they hold.

        Raises Full as `ceilings.hold` does, Unavailable where another process takes events in.
        """
        if self.parts.follows:
            raise Unavailable(
                "this process answers lists, and takes no events.",
                field="follow",
                value=str(self.parts.home),
                way_out="Send them to the process that owns this folder.",
            )
        checked = check(events, self._clock.now(), self.parts.settings)
        batch = Batch(*ceilings.hold(self.parts, checked, whole))
        self.parts.words.read(event.words for event in batch.events if event.words)
        return batch

    def write(self, batches: Sequence[Batch], source: tuple[bytes, int] | None = None) -> None:
        """One commit for all batches; durable on return. Raises Unavailable, and then none of them is kept."""
        outcomes = iter(self.parts.log.append([event for batch in batches for event in batch.events], source=source))
        for batch in batches:
            batch.outcomes = [next(outcomes) for _ in batch.events]

    def apply(self, batches: Sequence[Batch]) -> list[Receipt]:
        """State, counts and catalogue follow what was written; one receipt for each batch.

        Who was erased is on the disk no longer once `snapshots.wait` returns.
        """
        logged = [one for batch in batches for one in batch.logged]
        with self.lock:
            if logged and logged[0].offset > self.parts.as_of + 1 and not self.snapshots.half_done:
                self.parts.catch_up(self._take)  # a sender was interrupted after its events were written
            late, erased = self._take([one for one in logged if one.offset > self.parts.as_of])
            if self.snapshots.is_due or erased:
                self.snapshots.begin()
            return [batch.receipt(self.parts.as_of, late, erased) for batch in batches]

    def _take(self, logged: Sequence[Logged]) -> tuple[set[int], dict[int, Erased]]:
        self.snapshots.since += len(logged)
        try:
            return intake.take(self.parts, logged)
        except BaseException:
            self.snapshots.half_done = True  # Ctrl-C, say: what is half applied must never reach a snapshot
            raise

    def _send(self, event: Event) -> None:
        """An event of the log's own."""
        batch = Batch([event], [0], [])
        with self._order:
            self.write([batch])
            self.apply([batch])

    def follow(self) -> None:
        """Take in what the process that owns the log has committed. Nothing to do where this one owns it."""
        if not self.parts.follows:
            return
        with self.lock:
            if self.parts.log.read_on():
                for logged in self.parts.log.replay(self.parts.as_of, self.parts.log.end):
                    self._take(logged)
                    self.heard(logged)
            if self.snapshots.is_due:
                self.snapshots.begin()

    def take_over(self) -> bool:
        """Own the log that was followed, if the process that owned it is gone; whether this one owns it now.

        What that process acknowledged is in the log, and so in every list from here on.
        """
        with self._order, self.lock:
            if self.parts.follows and self.parts.log.take_over(self.parts.settings.durability):
                self.parts.follows = False
                self.parts.catch_up(self._take)
        return not self.parts.follows

    # -- lists ---------------------------------------------------------------------------------------------------------

    def recommend(self, query: Query) -> Slate:
        """What this person should see next. Raises InvalidInput for a limit or a condition that makes no sense."""
        return self.recommend_many([query])[0]

    def recommend_many(self, queries: Sequence[Query]) -> list[Slate]:
        """Lists for many people; their states are brought up and asked in one call."""
        return [decided.slate() for decided in self.decide_many(queries)]

    def decide_many(self, queries: Sequence[Query]) -> list[Decided]:
        """The same lists in numbers: names are put to them by who asks for `Decided.slate`, on any thread."""
        self.follow()
        queries = [self._checked(query) for query in queries]
        with self.lock:
            people = [questions.person(self.parts, query.user) for query in queries]
            vectors = self.parts.vectors_of(people, queries)
            return [
                listing.decide(self.parts, query, person, listing.for_person(self.parts, query, person, vector))
                for query, person, vector in zip(queries, people, vectors, strict=True)
            ]

    def rank(self, items: Sequence[str], query: Query) -> Slate:
        """These items, each once, ordered for this person; seen ones too. Raises NotFound, InvalidInput.

        All of them are kept that are available and meet the query's conditions; its limit does not count. Of policies,
        the query's own diversity and stability are followed.
        """
        self.follow()
        asked = query.policy
        if len(items) > questions.LONGEST:
            what = f"more than {questions.LONGEST} items."
            raise InvalidInput(what, field="items", value=len(items), way_out="Rank them in parts.")
        query = structs.replace(self._checked(structs.replace(query, limit=max(len(items), 1))), seen="allow")
        query.policy = policies.for_ranking(asked)
        with self.lock:
            numbers = np.array([questions.item(self.parts, item) for item in items], np.int64)
            person, vector = self._vector(query)
            ranked = listing.these(self.parts, query, person, vector, numbers)
            return listing.slate(self.parts, query, person, ranked, foretold=True)

    def item(self, name: str) -> Item:
        """An item as it was sent last. Raises NotFound."""
        return records.item(self.parts, name)

    def items(self, after: str | None = None, limit: int = 100) -> Page:
        """Items in the order in which they were first mentioned, from the first or ``after`` one. Raises NotFound."""
        return records.page(self.parts, after, limit)

    def profile(self, user: str) -> Profile:
        """The profile of a person, empty where none was sent. Raises NotFound for somebody whom nobody ever named."""
        return records.profile(self.parts, user)

    def unread(self, query: Query) -> set[str]:
        """Fields that the query's rule and policy read and that none has read so far. Raises InvalidInput."""
        return allowing.unread(self.parts, query, questions.policy_of(self.parts, query))

    def read_fields(self, names: Iterable[str]) -> None:
        """Read these fields of all items for rules, while lists go on: who asks without this has all others wait."""
        allowing.read_fields(self.parts, names)

    def similar(self, item: str, query: Query | None = None) -> Slate:
        """Items like this one: near it in content, followed by it, met together with it. Raises NotFound."""
        self.follow()
        query = self._checked(query or Query())
        with self.lock:
            person = questions.person(self.parts, query.user)
            ranked = listing.like_item(self.parts, query, person, questions.item(self.parts, item))
            return listing.slate(self.parts, query, person, ranked)

    def search(self, query: Query) -> Slate:
        """Items that the words name or mean, ordered for this person."""
        self.follow()
        query = self._checked(query)
        if not (query.words or "").strip():
            raise InvalidInput("a search needs words.", field="words", value=query.words, way_out="Send `words`.")
        self.parts.words.read([query.words or ""])
        with self.lock:
            person, vector = self._vector(query)
            return listing.slate(self.parts, query, person, listing.matching(self.parts, query, person, vector))

    def slate(self, id: str, explain: bool = False, language: Language = "en") -> Feedback:
        """A list that was shown, as it was, with what was done about it; ``explain``: and why. Raises NotFound."""
        return explaining.find(self.parts, id, language) if explain else self.parts.showing.find(id)

    def compose(self, wanted: Writing) -> Contents:
        """A text about each of these items for one person, from facts alone. Raises NotFound, InvalidInput."""
        return writing.write(self.parts, wanted, self.rank(wanted.items, writing.question(wanted)))

    def _restore_shown(self) -> None:
        """Lists whose window has not passed wait on; what was done about them is in the log."""
        for person in self.parts.showing.restore():
            self.parts.showing.amended(person, self.parts.history(person, self.parts.as_of))

    def examine(self, query: Query) -> Ranked:
        """All candidates for a person with what speaks for them; good until the next question. Hold `lock`."""
        query = self._checked(query)
        person, vector = self._vector(query)
        return listing.for_person(self.parts, query, person, vector)

    def _checked(self, query: Query) -> Query:
        questions.check(self.parts, query)
        return questions.completed(self.parts, query, self._clock.now(), self.tracks)

    def _vector(self, query: Query) -> tuple[int, NDArray[np.float32]]:
        """(number, f(x)) of who asks."""
        person = questions.person(self.parts, query.user)
        return person, self.parts.vectors_of([person], [query])[0]

    # -- the life of a folder ------------------------------------------------------------------------------------------

    @property
    def warnings(self) -> list[str]:
        half_done = _HALF_DONE if self.snapshots.half_done else None
        texts, shown = self.parts.texts, self.parts.showing.failure
        said = (texts.warning, texts.failure, half_done, self.snapshots.warning, shown, self._clock.warning)
        return [text for text in (*said, *(one.warning for one in self._followers)) if text]

    def wait_for_items(self, progress: Callable[[int], None] | None = None) -> None:
        """Until every item sent so far has its vector; ``progress(texts left)`` now and then."""
        self.parts.texts.wait(progress)

    def snapshot(self) -> None:
        """Write states and counts to disk, so that the next start replays only what comes after."""
        self.snapshots.write()

    # -- versions of the model -----------------------------------------------------------------------------------------

    def follow_versions(self) -> None:
        """From now on, go over within a second to whatever version is chosen (`penchant model use`), until closed.

        A version that is refused leaves the one in use where it is, and a warning.
        """
        look = partial(versions.pointer, self.parts.home / "versions")
        self._followers.append(Follower("the version that was chosen is not in use", look, self.use_chosen_version))

    def use_chosen_version(self) -> bool:
        """Go over to the version that was chosen, now; whether it was another one. Lists and events go on meanwhile.

        Raises Corrupt when it is incomplete, or was trained on another log or by another encoder.
        """
        if not self.parts.use_current():
            return False
        self.snapshots.attempt()  # or the next start would go over once more
        return True

    # -- settings ------------------------------------------------------------------------------------------------------

    def follow_settings(self, **flags: Any) -> None:
        """From now on, use what is changed in the settings file within a second, until closed. ``flags`` as in `open`.

        What is refused (`use_settings`) leaves a warning.
        """
        look = partial(mark, self.parts.home / FILE)
        use = partial(self.use_settings, **flags)
        self._followers.append(Follower("what was changed in the settings is not in use", look, use))

    def use_settings(self, **flags: Any) -> None:
        """Use the settings as they are now, as far as they are `LIVE`. Lists and events go on meanwhile.

        Raises InvalidInput for a wrong file, which changes nothing, and for what needs another start.
        """
        before, wanted = self.parts.settings, load_settings(self.parts.home, **flags)
        names = changed(before, wanted)
        live = {name: getattr(wanted, name) for name in names if name in LIVE}
        if live and self.parts.use_settings(structs.replace(before, **live)):
            self.snapshots.attempt()
        for name in names:
            if name not in LIVE:
                told = f"stays {getattr(before, name)!r} until the next start."
                raise InvalidInput(told, field=name, value=getattr(wanted, name), way_out="Restart for it.")

    # -- retention -----------------------------------------------------------------------------------------------------

    def retain(self) -> int:
        """Drop what is older than the settings keep ([retention]), now; how many events. Lists and events go on.

        Raises Unavailable when the disk refuses; what was dropped until then is.
        """
        return self.retention.run()

    def follow_retention(self) -> None:
        """From now on, do so whenever it is due, beside lists and events, until closed."""
        self._followers.append(
            Follower("retention is behind, and goes on later", self.retention.look, self.retention.run_beside)
        )

    # -- the end -------------------------------------------------------------------------------------------------------

    def rebuild(self) -> None:
        """Forget everything derived and build it again from the log."""
        with self.lock:
            self.parts.reset()
            self.snapshots.half_done = False
            self.parts.catch_up(self._take)

    def close(self) -> None:
        self.retention.stop()
        for follower in self._followers:
            follower.close()
        self.parts.texts.close()
        try:
            self.snapshots.finish()
        finally:
            self.parts.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _say_nothing(logged: Sequence[Logged]) -> None:
    """Where nobody listens."""
