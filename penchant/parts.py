"""The parts of an engine and how they are wired together; the life of a data folder from open to close.

    folder/penchant.toml   settings          folder/events.db     the log: the only truth
    folder/versions/       model versions    folder/catalogue.db  items, words, vectors of texts (derived)
    folder/snapshots/      states and counts at an offset (derived)

Opening reads the newest snapshot, replays what the log holds beyond it, and goes over to the version in use.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penchant.beside import Beside
from penchant.config import Settings
from penchant.errors import Corrupt, NotFound, PenchantError, Unavailable
from penchant.kernels import Asked
from penchant.models import cold_start, versions
from penchant.models.runtime import Version
from penchant.models.text_encoder import TextEncoder, load_encoder
from penchant.pipeline.filters import Filters
from penchant.pipeline.items import ItemTexts, render
from penchant.pipeline.policy import Lists
from penchant.pipeline.ranking import Ranker
from penchant.pipeline.retrieval import Retrieval
from penchant.pipeline.state import KEPT, UserStates
from penchant.pipeline.words import Words
from penchant.showing import Showing
from penchant.storage.catalogue import Catalogue, Row
from penchant.storage.contexts import Contexts
from penchant.storage.counts import Counts, Met
from penchant.storage.event_log import EventLog, only_process
from penchant.storage.item_index import ItemIndex
from penchant.storage.log_reading import History, Logged
from penchant.storage.patches import patched
from penchant.storage.state_store import StateStore, drop_snapshots, read_snapshot, write_snapshot
from penchant.threads import lower_priority
from penchant.types import Query

Floats = NDArray[np.float32]
Longs = NDArray[np.int64]

NO_ENCODER = "none"
_REFIT = 10  # a catalogue grown so many times is looked at again for the projection
_FITTED_ON = 20_000
_LITTLE = 256  # events and items that a swap may take in under the lock
_log = logging.getLogger("penchant")


class Taken(NamedTuple):
    """A snapshot that is still to be written."""

    as_of: int
    arrays: dict[str, NDArray[Any]]
    version: str


class Prepared(NamedTuple):
    """A person's state without some events, and what it was made of; ``newest``: offset of the newest event."""

    folded: UserStates
    version: Version
    clock: int
    as_of: int
    newest: int


class Parts:
    """Everything an engine works on. `intake` changes it, `engine` asks it; both under ``lock``."""

    def __init__(self, folder: Path, settings: Settings, home: Path | None = None) -> None:
        """``home``: of another process, which owns log and versions; then ``folder`` has what is derived alone."""
        self.folder, self.home, self.follows = folder, home or folder, home is not None
        self.settings, self.lock = settings, threading.RLock()
        self.log = EventLog(self.home, settings.durability, self.follows, Contexts(settings.contexts))
        try:
            self._own = only_process(folder) if self.follows else None
            self.encoder = encoder_of(settings, self.home)
            if not self.follows:
                self.log.number_actions(settings.actions)
            actions = _weights(self.log, settings)
            self.version = self._first_version(actions)
            self.catalogue = Catalogue(folder)
        except BaseException:
            self.log.close()  # the folder is free again
            raise
        self.rates = np.array([name in settings.ratings for name in actions] + [False] * 256)[:256]
        self.weights = np.array([*actions.values(), *[0.0] * 256], np.float32)[:256]
        self.positive = (self.weights > 0).view(np.uint8)
        self.showing = Showing(folder, settings, self.log, self.weights.tolist(), self.lock)
        self.texts = ItemTexts(self.encoder, self.catalogue, self.place)
        self.words = Words(self.encoder, self.version, self.log.words, self._failed)
        self.filters, self.lists = Filters(self.catalogue.rows), Lists()
        self.reset()
        self.swapping = threading.Lock()  # one goes over to another version at a time
        self._rebuilding: threading.Thread | None = None
        self._recounting = False  # under the lock; the thread may outlive it by a moment
        self.recounted = False  # since the last snapshot
        self._prepared: dict[int, Prepared] = {}
        self.retaining = False  # old events are being dropped: counts wait until all has gone that is to go
        self._closing = False

    def _first_version(self, actions: dict[str, float]) -> Version:
        """The version in use, if it fits the log, the encoder and the settings; else a version 0 made now."""
        fusion, path = cold_start.fusion_of(self.settings), versions.current(self.home / "versions")
        if path is not None and versions.is_readable(path):
            version = Version(path)
            if version.trained:
                _check_ours(version, self.log, self.encoder)
                return version
            made_by, known = version.manifest.encoder_fingerprint, (version.manifest.actions, version.manifest.fusion)
            if made_by == _named(self.encoder)[1] and known == (actions, fusion):
                return version
        if self.follows:
            raise Unavailable(
                "there is no version of the model yet that fits its settings.",
                field="follow",
                value=str(self.home),
                way_out="Start the process that owns this folder first; it makes one.",
            )
        drop_snapshots(self.folder / "snapshots")
        made = (_named(self.encoder), actions, None, time.time(), fusion)
        return Version(cold_start.publish_version_0(self.home / "versions", *made))

    def reset(self) -> None:
        """Empty tables: what opening starts from, and rebuilding."""
        manifest = self.version.manifest
        self.as_of = 0
        self.index = ItemIndex(manifest.dim)
        self.counts = self._no_counts()
        store = StateStore(manifest.state_size, self.version.sums)
        self.states = UserStates(store, self.index, self.version, self.words.at, self.settle, self._kept_history)
        self._wire_asking(np.empty(0, np.int64))

    def _wire_asking(self, fresh: NDArray[np.int64]) -> None:
        """``fresh``: the newest items, which neither a version nor counts change."""
        manifest = self.version.manifest
        self.retrieval = Retrieval(self.index, self.counts, manifest.fusion)
        self.retrieval.fresh = fresh
        self.ranker = Ranker(self.index, self.counts, manifest.fusion, manifest.search)

    # -- what intake and engine ask ------------------------------------------------------------------------------------

    def history(self, person: int, upto: int, last: int = -1) -> History:
        """A person's interactions, those of joined sessions included, as they stood at an offset."""
        return self.log.history(self.log.joined(person, upto), upto, last)

    def _kept_history(self, person: int, upto: int) -> History:
        return self.history(person, min(upto, self.as_of), KEPT)  # what was written but not applied comes yet

    def vectors_of(self, people: Sequence[int], queries: Sequence[Query]) -> Floats:
        """f(x) [n, dim] of people at the moments of their queries."""
        return self.states.asked(people, [query.time or 0.0 for query in queries], self.profiles_of(people))

    def profiles_of(self, people: Sequence[int]) -> Longs:
        """What the version in use reads of their profiles."""
        reads = bool(self.version.manifest.profile.tags)
        return self.version.profiles(
            [self.catalogue.profile(person) if reads and person >= 0 else {} for person in people]
        )

    def asked(
        self, person: int, vector: Floats, query: Query, states: UserStates | None = None, row: int = -1
    ) -> Asked:
        """What a list is asked by; ``states`` and ``row``: where what is known of the person is read from elsewhere."""
        states, row = (self.states, person) if states is None else (states, row)
        recent, context = states.recent(row, self.positive), self.log.contexts.bits(query.context)
        asked = Asked(vector, recent, float(query.time or 0.0), states.depth(row), person, context)
        if self.seen(query) == "ever":
            return asked
        own, actions = states.own(row)
        return asked._replace(own=own, weights=self.weights[actions])

    def judged(self, person: int, vector: Floats, items: Longs) -> list[tuple[dict[str, float], float | None]]:
        """(probability of each action, rating) of items for a person whose f(x) is ``vector``, as far as is known."""
        heads, ratings = self.version.heads, self.states.ratings(person, items)
        told: list[dict[str, float]] = [{} for _ in items]
        if heads is not None:
            names = [self.log.actions.name(number) for number in heads.action.tolist()]
            found = heads.probabilities(vector[None], self.index.vector[items])
            told = [dict(zip(names, row, strict=True)) for row in found.tolist()]
        return list(zip(told, [None] * len(items) if ratings is None else ratings.tolist(), strict=True))

    def seen(self, query: Query) -> Literal["ever", "allow"] | float:
        """What a list hides of what was met, as in `Query`: the query says it, or else the settings."""
        return self.settings.seen if query.seen is None else query.seen

    def met(self, people: Longs, history: History) -> Met:
        """What counts take in of events [n] of these people."""
        rows = np.flatnonzero(history.item >= 0)
        action, value = history.action[rows], history.value[rows].astype(np.float64)
        return Met(
            people[rows],
            history.item[rows],
            history.time[rows],
            self.positive[action],
            np.where(self.rates[action], value, np.nan),
            history.contexts[rows],
        )

    # -- items and their vectors ---------------------------------------------------------------------------------------

    def offer(self, sent: Sequence[Row], gone: Sequence[int]) -> None:
        """Items may be shown (or not any more) from now on; their vectors follow."""
        items = np.array([row.item for row in sent], np.int64)
        first = items[self.index.known[items] == 0] if len(items) else items
        for row in sent:
            self.index.known[row.item], self.index.ready[row.item] = 1, row.available
            self.index.created[row.item] = row.created
        self.index.known[list(gone)] = self.index.ready[list(gone)] = 0
        self.filters.changed([*sent, *(Row(item, {}, "", {}, False, 0.0) for item in gone)])
        if gone:
            self.retrieval.went(np.array(gone, np.int64))
        if len(first):
            self.retrieval.came(first)

    def place(self, rows: Sequence[Row], text_vectors: Floats) -> None:
        """Texts were read: the items have vectors (called by the thread that reads)."""
        version = self.version
        vectors = version.items(rows, text_vectors)
        with self.lock:
            if self.version is not version:  # swapped meanwhile
                vectors = self.version.items(rows, text_vectors)
            wanted = self.texts.still_wanted(rows)
            self.index.place(np.array([rows[place].item for place in wanted], np.int64), vectors[wanted])
        if self._has_outgrown_its_projection():
            self.refit()

    def settle(self, items: Sequence[int]) -> None:
        """Read the texts of these items now, if they still wait to be read."""
        rows = self.texts.pending(items) if self.texts.backlog else []
        if not rows:
            return
        try:
            vectors = self.version.items(rows, self.texts.vectors([row.text for row in rows]))
        except Exception as error:  # the event that asked for it is in the log: it is applied without it
            self.texts.failed(rows, error)
        else:
            self.index.place(np.array([row.item for row in rows], np.int64), vectors)

    def _failed(self, why: str) -> None:
        self.texts.failure = why

    # -- versions --------------------------------------------------------------------------------------------------

    def _has_outgrown_its_projection(self) -> bool:
        """Version 0 looks at the catalogue once it is large enough, and again when it has grown tenfold."""
        if self.encoder is None or self.texts.waiting or self.version.trained or self.follows:
            return False
        known, fitted = int(self.index.known.sum()), self.version.manifest.fitted_on
        return known >= cold_start.ENOUGH and known >= _REFIT * fitted

    def use_settings(self, settings: Settings) -> bool:
        """Go over to settings that differ in what is `LIVE`; whether version 0 scores differently by them."""
        with self.swapping:
            self.settings, fusion = settings, cold_start.fusion_of(settings)
            if self.follows or self.version.trained or self.version.manifest.fusion == fusion:
                return False  # who follows goes over to what its leader publishes
            if versions.current(self.home / "versions") != self.version.path:
                return False  # somebody chose another version, and it is about to be gone over to
            version = Version(cold_start.publish_again(self.version.path, self.version.manifest, fusion))
            with self.lock:
                self.version = self.words.version = self.states.version = version
                self._wire_asking(self.retrieval.fresh)
            return True

    def refit(self) -> None:
        """Publish version 0 anew with a projection fitted to the catalogue, and go over to it."""
        with self.swapping:
            if self.version.trained or versions.current(self.home / "versions") != self.version.path:
                return  # somebody chose another version, and it is about to be gone over to
            rows = list(self.catalogue.rows())
            chosen = np.random.default_rng(0).permutation(len(rows))[:_FITTED_ON]
            path = cold_start.publish_version_0(
                self.home / "versions",
                _named(self.encoder),
                _weights(self.log, self.settings),
                self.texts.vectors([rows[place].text for place in chosen]),
                time.time(),
                cold_start.fusion_of(self.settings),
            )
            self._go_over(Version(path), fold=False)

    def use_current(self) -> bool:
        """Go over to the version that `versions/current` names; whether it was another one.

        Raises Corrupt when it is incomplete, or was trained on another log or by another encoder.
        """
        with self.swapping:
            path = versions.current(self.home / "versions")
            if path is None or path == self.version.path:
                return False
            version = Version(path)
            _check_ours(version, self.log, self.encoder)
            self._go_over(version, fold=True)
            return True

    def _go_over(self, version: Version, fold: bool) -> None:
        """Prepare everything beside what is in use, follow until little is missing, then swap under the lock.

        ``fold`` everybody's state at once; else each is folded from the log when it is next needed.
        """
        words = Words(self.encoder, version, self.log.words, self._failed)
        beside = Beside(self.log, self.catalogue, self.texts.vectors, words, self.index.clock)
        beside.place_all()
        if fold:
            beside.start_states(self.as_of)
        while beside.behind(self.as_of if fold else 0, self.index) > _LITTLE:
            beside.follow(self.as_of if fold else 0, self.index)
        with self.lock:
            beside.follow(self.as_of if fold else 0, self.index)
            if fold:
                self.states.adopt(beside.states.store, version)
            else:
                self.states.use(version)
            self.index.adopt(beside.index)
            before, self.version, self.words.version = self.version.name, version, version
            self._wire_asking(self.retrieval.fresh)
        _log.info("another version is in use", extra={"version": version.name, "before": before, "as_of": self.as_of})
        self._forget_the_erased()

    # -- states without what is about to be dropped --------------------------------------------------------------------

    def prepare(self, people: Sequence[int], without: Collection[int]) -> None:
        """Fold states beside, without events at these offsets, so that lists need not wait for it."""
        self._prepared.clear()
        for person in people:
            with self.lock:
                made_of = (self.version, self.index.clock, self.as_of, self.states.newest(person))
                states, waits = self.states, bool(self.texts.backlog)
            if waits:
                return
            whole = self.history(person, made_of[2])
            kept = np.flatnonzero(~np.isin(whole.offset, list(without)))[-KEPT:]
            words = Words(self.encoder, made_of[0], self.log.words, self._failed)
            folded = states.folded_beside(History._make(column[kept] for column in whole), words.at)
            self._prepared[person] = Prepared(folded, *made_of)

    def take_prepared(self, person: int, offset: int) -> bool:
        """Whether a state was there for what is dropped at an offset, of what is still so."""
        found = self._prepared.pop(person, None)
        if found is None or (found.version, found.clock) != (self.version, self.index.clock):
            return False
        if found.newest != self.states.newest(person):
            return False
        if person in self.log.amended_between(found.as_of, offset - 1):
            return False
        self.states.put(person, found.folded)
        return True

    # -- snapshots and rebuilding --------------------------------------------------------------------------------------

    def taken(self) -> Taken:
        """All that a snapshot holds, as copies: they are written when the lock is free again."""
        self.recounted = False
        arrays = self.states.store.arrays() | self.counts.arrays() | self.index.arrays()
        arrays = {name: array.copy() for name, array in arrays.items()}
        arrays["texts_unread"] = np.array(self.texts.unread(), np.int64)
        return Taken(self.as_of, arrays, self.version.name)

    def save(self, taken: Taken) -> None:
        write_snapshot(self.folder / "snapshots", taken.as_of, taken.arrays, taken.version)
        self.catalogue.keep(taken.as_of)

    def load(self) -> None:
        """Start from the newest snapshot, if it is of a version that is there and of a log that reaches so far.

        One of another version than the one in use is started from as well: `use_current`, called once the rest of the
        log was taken in, goes over from there with the states that were published, and counts need no second look.
        """
        try:
            self._load()
        except BaseException:
            self.texts.close()
            self.close()  # the folder is free again
            raise

    def _load(self) -> None:
        found = read_snapshot(self.folder / "snapshots")
        if found is None or found[0] > self.log.end or not self._starts_under(found[1]):
            return
        self.as_of, _, arrays = found
        self.catalogue.rewind(self.as_of)
        self.states.store.load(arrays)
        self.counts.load(arrays)
        self.index.load(arrays)
        self.retrieval.came(np.flatnonzero(self.index.known[: self.index.items]))
        never_read = np.flatnonzero((self.index.known == 1) & (self.index.epoch == 0))
        unread = {*never_read.tolist(), *arrays["texts_unread"].tolist()}
        self.texts.submit([row for item in sorted(unread) if (row := self.catalogue.get(item)) is not None])

    def _starts_under(self, name: str) -> bool:
        """Whether a snapshot of the version of this name can be started from, under that version if it is another."""
        if name == self.version.name:
            return True
        try:
            version = Version(versions.find(self.home / "versions", name))
            _check_ours(version, self.log, self.encoder)
        except (NotFound, Corrupt):
            return False
        weighed = version.trained or version.manifest.actions == _weights(self.log, self.settings)
        if version.name != name or not weighed:
            return False
        self.version = self.words.version = version
        self.reset()
        return True

    def row(self, sent: Logged) -> Row | None:
        """An item as the catalogue keeps it after an event; None where a patch finds no item."""
        event, item = sent.event, sent.item
        if event.patch:
            before = self.catalogue.get(item)
            if before is None:
                return None
            row = patched(before, event)
        else:
            created = float(self.index.created[item]) if self.index.known[item] else event.time or 0.0
            row = Row(item, event.fields, "", event.vectors, event.available is not False, created)
        row.text = self._text(row.fields)
        return row

    def _text(self, fields: dict[str, Any]) -> str:
        try:
            return render(self.settings.template, fields)
        except PenchantError as error:
            self.texts.failure = str(error)
            return render("", fields)

    def catch_up(self, take: Callable[[Sequence[Logged]], object]) -> None:
        """Replay what the log holds beyond what is known, through the code that lives it."""
        if not self.as_of:
            self.catalogue.clear()
        for batch in self.log.replay(self.as_of):
            with self.lock:  # texts are read and placed meanwhile
                take(batch)
        with self.lock:
            for number in self._forget_the_erased():
                self.catalogue.erase(number)
            self.counts_changed()

    def _forget_the_erased(self) -> list[int]:
        """No state under any number of theirs: sessions whose alias was erased before it was ever applied, too."""
        erased = self.log.people.forgotten()
        with self.lock:
            for number in erased:
                if self.states.newest(number):
                    self.states.clear(number)
        return erased

    def counts_changed(self) -> None:
        """Something was subtracted. Where that was not exact, build the counts again, beside the ones in use."""
        if not self.counts.inexact or self._recounting:
            return
        self._recounting = True
        self._rebuilding = threading.Thread(target=self.rebuild_counts, name="penchant-counts", daemon=True)
        self._rebuilding.start()

    def rebuild_counts(self) -> None:
        """Counts from the log: most of it beside the live tables, the rest under the lock, then one swap.

        Begun again where rows have gone from the log meanwhile. Where a retraction or an alias was not exact even in
        the new counts, those are better than the ones in use, and are counted once more.
        """
        lower_priority()
        while not self._closing:
            lost, upto = self.log.lost, self.as_of
            if upto < lost or self.retaining:  # written, and about to be applied; or there is more to come
                time.sleep(0.01)
                continue
            counts = self._no_counts()
            self._count_from_log(counts, 0, upto)
            while self.as_of - upto > _LITTLE and self.log.lost == lost and not self._closing:
                upto = self._count_on(counts, upto)
            with self.lock:
                if self.log.lost == lost and not self._closing:
                    self._count_on(counts, upto)
                    self._swap_counts(counts)
                    self._recounting = counts.inexact
                    if not counts.inexact:
                        return

    def _count_on(self, counts: Counts, after: int) -> int:
        """Take in what lists have taken in since; returns where that is."""
        upto = self.as_of
        amended = self.log.amended_between(after, upto)
        for person in amended:
            counts.take_out(person, self._share(person, after))
        self._count_from_log(counts, after, upto, amended)
        for person in amended:
            counts.add(self._share(person, upto))
        return upto

    def _share(self, person: int, upto: int) -> Met:
        """What a person's counts are made of at an offset; of a session that is somebody's by then, nothing."""
        whole = self.history(person, upto, -1 if self.log.person(person, upto) == person else 0)
        return self.met(np.full(len(whole.item), person, np.int64), whole)

    def _no_counts(self) -> Counts:
        return Counts(self.settings.neighbours, self.settings.half_life_days, self.log.contexts.names)

    def _swap_counts(self, counts: Counts) -> None:
        counts.ensure(self.states.store.people, self.index.items)
        self.counts, self.recounted = counts, True
        self._wire_asking(self.retrieval.fresh)

    def _count_from_log(self, counts: Counts, after: int, upto: int, but: Collection[int] = ()) -> None:
        """What the log holds between two offsets, ``but`` of some people."""
        for people, events in self.log.interactions(after, upto):
            met = self.met(people, events)
            kept = ~np.isin(met.people, list(but))
            counts.add(met if kept.all() else Met._make(array[kept] for array in met))

    def close(self) -> None:
        self.texts.close()
        self._closing = True  # what is not counted yet is counted at the next start
        if self._rebuilding is not None:
            self._rebuilding.join()
        self.index.wait()
        self.showing.close()
        self.catalogue.close()
        self.log.close()
        if self._own is not None:
            self._own.close()


def encoder_of(settings: Settings, folder: Path) -> TextEncoder | None:
    """The language model of a data folder."""
    if settings.encoder == NO_ENCODER:
        return None
    return load_encoder(settings.encoder or None, cache=folder / "encoder", threads=settings.text_threads)


def _named(encoder: TextEncoder | None) -> tuple[str, str, int]:
    return (encoder.name, encoder.fingerprint, encoder.dim) if encoder is not None else (NO_ENCODER, NO_ENCODER, 1)


def _weights(log: EventLog, settings: Settings) -> dict[str, float]:
    """Weights in the order of the log's numbers; an action that the settings no longer name keeps its number."""
    names = [log.actions.name(number) for number in range(len(log.actions))]
    return {name: settings.actions[name].weight if name in settings.actions else 0.0 for name in names}


def _check_ours(version: Version, log: EventLog, encoder: TextEncoder | None) -> None:
    """Raises Corrupt when a version was made by another encoder, or trained on another log."""
    versions.check_ours(version.path, version.manifest, _named(encoder)[:2], log.items.first)
