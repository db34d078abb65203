"""`penchant demo`: five claims, told with 300 films or with MovieLens, and checked while they are told.

Notable: the engine runs in a process of its own, so that it can really be killed with SIGKILL. Times are taken on this
side of the pipe, from sending to having the answer, as an application would see them. A claim that does not hold is
shown in red, and `run` is False.

Where torch is installed, the story of the films has a last chapter, on training: `simulated`.

What it does not show: HTTP, and more than one person at a time.
"""

from __future__ import annotations

import json
import math
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.markup import escape

from penchant.errors import InvalidInput
from penchant.serving import screens, simulated
from penchant.serving.away import Away
from penchant.serving.screens import Story
from penchant.types import Event, Item, Query, Slate

if TYPE_CHECKING:
    from penchant.serving.importers import Part

FILMS = Path(str(files("penchant") / "data" / "films.jsonl"))
VECTORS = FILMS.with_name("films.npz")
SHOWN = 8
WITHIN = 1.0  # seconds for a new film to stand in a list
CLICKED = ("Alien", "Spirited Away", "Amélie")
WORDS = "a love story in Paris"
NEWCOMER = Item(
    id="film-new",
    fields={
        "title": "The Lamplighter of Montmartre",
        "year": 2031,
        "country": "France",
        "director": "Nobody Yet",
        "genres": ["Drama", "Romance"],
        "keywords": ["paris", "love story", "strangers", "rooftops", "moonlight"],
    },
)
_PAUSE = 1.5  # seconds for a person to read a list
_SAME = 1e-4  # between scores before and after the restart
_SIGKILL = 9
_LEARNED = 0.9  # of the ratings
_STEPS = 3
_PAST = (20, 200)  # ratings that the person of the MovieLens story has before it begins


class World(NamedTuple):
    """Who the story is about and what this person does next; ``asks`` is who meets the new film in a list.

    ``now`` is the moment of the story, None for the present: MovieLens was lived in the year 2000.
    """

    who: str
    steps: Sequence[Event]
    asks: str
    titles: dict[str, str]
    now: float | None = None


def run(folder: Path | None, fast: bool = False) -> bool:
    """Tell the story; whether every claim held. ``folder``: of MovieLens, instead of the bundled films."""
    story, began = Story(0.0 if fast else _PAUSE), time.perf_counter()
    story.say("\n[bold]Penchant[/bold]: what each person should see next, a moment after every event.")
    story.say("[dim]All of it happens now. Times run from sending to having the answer.[/dim]")
    with tempfile.TemporaryDirectory(prefix="penchant-demo-") as scratch:
        data = Path(scratch) / "data"
        if folder is None:
            _with_films(story, data)
        else:
            _with_movielens(story, folder, data)
    if story.end(time.perf_counter() - began):
        _what_next()
    return not story.failed


def _what_next() -> None:
    screens.out.print("\nNow you. The same films in a folder of your own:\n")
    for command in next_commands():
        screens.out.print(f"   [bold]{escape(command)}[/bold]", soft_wrap=True)
    screens.out.print("\nYour own data: [bold]penchant import --help[/bold]")


def next_commands() -> list[str]:
    """What a reader can type next, as it stands."""
    program = _program()
    return [
        f"{program} import {shlex.quote(str(_short(FILMS)))} --data films",
        f'{program} search "{WORDS}" --data films',
        f"{program} serve --data films",
    ]


def _program() -> str:
    """How this very installation is called from here."""
    beside = Path(sys.executable).with_name("penchant")
    return "penchant" if shutil.which("penchant") or not beside.exists() else shlex.quote(str(_short(beside)))


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def films() -> list[Item]:
    """The bundled films."""
    found = [json.loads(line) for line in FILMS.read_text(encoding="utf-8").splitlines()]
    return [Item(id=film.pop("id"), fields=film) for film in found]


def bundled_vectors() -> tuple[list[bytes], NDArray[np.float32]]:
    """(keys, vectors [n, dim]) of the bundled films' texts, as `tools/film_vectors.py` made them."""
    with np.load(VECTORS) as bundle:
        return [key.tobytes() for key in bundle["keys"]], bundle["vectors"].astype(np.float32)


# -- the chapters ------------------------------------------------------------------------------------------------------


def _with_films(story: Story, data: Path) -> None:
    story.chapter(1, "300 films, known only by what is written about them")
    with story.working("Starting the engine. The very first start compiles its loops: about 10 s"):
        engine = Away(data)
    with engine:
        items = films()
        _send(story, engine, items)
        titles = {item.id: _titled(item.fields) for item in (*items, NEWCOMER)}
        ids = {item.fields["title"]: item.id for item in items}
        clicks = [Event(user="ann", action="click", item=ids[title]) for title in CLICKED]
        world = World("ann", clicks, "ann", titles)
        story.chapter(2, "Ann clicks, and every click changes her list")
        story.say("Nothing is known of Ann yet, so the films stand in the order in which they were sent:")
        _tell(story, engine, world)
        simulated.tell(story, engine, data, items, titles)


def _send(story: Story, engine: Away, items: Sequence[Item]) -> None:
    began = time.perf_counter()
    engine.remember(*bundled_vectors())
    receipt = engine.ingest(*(item.event() for item in items))
    sent = time.perf_counter()
    with story.working("The language model reads what is not bundled"):
        read = engine.wait_for_items()
    story.say(f"Durable after {_ms(sent - began)}, and {time.perf_counter() - sent:.1f} s later known by their texts.")
    story.say("[dim]What the language model made of these 300 texts is bundled. Any other text it reads now.[/dim]")
    story.check(receipt.accepted == read == len(items), f"{len(items)} films sent, {read} have a vector of their text")


def _tell(story: Story, engine: Away, world: World) -> None:
    before = _list(engine, world, world.who)
    story.show(before, world.titles)
    for step in world.steps:
        before = _step(story, engine, world, step, before)
    _search(story, engine, world)
    _meet_newcomer(story, engine, world)
    _survive(story, engine, world)


def _list(engine: Away, world: World, user: str) -> Slate:
    return engine.recommend(Query(user=user, limit=SHOWN, time=world.now))


def _step(story: Story, engine: Away, world: World, step: Event, before: Slate) -> Slate:
    """The event is sent, and the list asked for at once."""
    began = time.perf_counter()
    receipt = engine.ingest(step)
    taken = time.perf_counter()
    after = _list(engine, world, world.who)
    done = time.perf_counter()
    title = escape(world.titles.get(step.item or "", step.item or ""))
    story.say(f"\n{_name(world.who)} {_did(step)} [bold]{title}[/bold]{_stood(step, before)}.")
    story.say(f"Durable after {_ms(taken - began)}, the new list {_ms(done - taken)} later:")
    story.show(after, world.titles, before)
    story.check(_differs(before, after) and after.as_of >= receipt.as_of, "the list has seen the event, and changed")
    return after


def _search(story: Story, engine: Away, world: World) -> None:
    who, before = world.asks, _list(engine, world, world.asks)
    story.chapter(3, f"{_name(who)} types a search, and the list follows")
    began = time.perf_counter()
    found = engine.search(Query(user=who, words=WORDS, limit=SHOWN, time=world.now))
    story.say(f"“{WORDS}”, answered in {_ms(time.perf_counter() - began)}:")
    story.show(found, world.titles)
    began = time.perf_counter()
    engine.ingest(Event(user=who, action="search", words=WORDS, time=world.now))
    after = _list(engine, world, who)
    took = time.perf_counter() - began
    story.say(f"\nA search is an event like a click. {_ms(took)} after it was sent, the list is this:")
    story.show(after, world.titles, before)
    near = len(_items(found) & _items(after)) - len(_items(found) & _items(before))
    story.check(near > 0, f"{near} more of the films found stand in the list now")


def _meet_newcomer(story: Story, engine: Away, world: World) -> None:
    story.chapter(4, "A film that did not exist until now")
    fields = NEWCOMER.fields
    story.say(f"We make one up: [bold]{_titled(fields)}[/bold], {', '.join(fields['genres'] + fields['keywords'])}.")
    before = _list(engine, world, world.asks)
    began = time.perf_counter()
    engine.ingest(Event(kind="item", item=NEWCOMER.id, fields=fields, time=world.now))
    after = _list(engine, world, world.asks)
    while NEWCOMER.id not in _items(after) and time.perf_counter() - began < WITHIN:
        time.sleep(0.002)
        after = _list(engine, world, world.asks)
    took = time.perf_counter() - began
    story.show(after, world.titles, before)
    by_its_text = any(one.item == NEWCOMER.id and one.features["text"] > 0 for one in after.items)
    story.check(by_its_text and took < WITHIN, f"sent, read, and in this list after {_ms(took)}")


def _survive(story: Story, engine: Away, world: World) -> None:
    story.chapter(5, "kill -9, and nothing is lost")
    asked = Query(user=world.asks, limit=SHOWN, time=world.now or time.time())
    before, pid = engine.recommend(asked), engine.pid
    story.check(engine.kill() == _SIGKILL, f"kill -9 {pid}: the engine is gone, with no time to save anything")
    began = time.perf_counter()
    with story.working("Starting it again"):
        engine.start()
        engine.wait_for_items()
    story.say(f"Started again from its log in {time.perf_counter() - began:.1f} s. {_name(world.asks)} asks again:")
    after = engine.recommend(asked)
    story.show(after, world.titles, before)
    story.check(_same(before, after), f"the same list with the same scores, as of the same event: {after.as_of}")


def _items(answer: Slate) -> set[str]:
    return {one.item for one in answer.items}


def _differs(before: Slate, after: Slate) -> bool:
    return [(one.item, one.score) for one in before.items] != [(one.item, one.score) for one in after.items]


def _same(before: Slate, after: Slate) -> bool:
    pairs = list(zip(before.items, after.items, strict=False))
    close = all(one.item == other.item and abs(one.score - other.score) < _SAME for one, other in pairs)
    return close and len(before.items) == len(after.items) > 0 and before.as_of == after.as_of


def _name(who: str) -> str:
    """At the beginning of a sentence; people of MovieLens are numbers."""
    return f"Number {who}" if who.isdecimal() else who[:1].upper() + who[1:]


def _did(step: Event) -> str:
    return f"gives {step.value:g} stars to" if step.value is not None else f"{step.action}s"


def _stood(step: Event, before: Slate) -> str:
    """MovieLens is not ours to choose from: say when the list had foreseen what came."""
    rank = next((rank for rank, one in enumerate(before.items, 1) if one.item == step.item), None)
    return f", number {rank} of the list above" if rank else ""


def _titled(fields: dict[str, Any]) -> str:
    year = f" ({fields['year']})" if "year" in fields else ""
    return f"{fields.get('title', '')}{year}"


def _ms(seconds: float) -> str:
    return f"[bold]{seconds * 1000:.1f} ms[/bold]"


# -- MovieLens ---------------------------------------------------------------------------------------------------------


class Ratings(NamedTuple):
    """All events of a folder in time order, as columns."""

    users: NDArray[np.object_]
    items: NDArray[np.object_]
    values: NDArray[np.float32]
    times: NDArray[np.float64]


def _with_movielens(story: Story, folder: Path, data: Path) -> None:
    parts = _movielens(folder)
    story.chapter(1, "MovieLens: nine tenths of what people did, and what is written about the films")
    with story.working("Looking at the ratings"):
        ratings = _ratings(parts[-1])
    split = int(np.searchsorted(ratings.times, ratings.times[int(_LEARNED * len(ratings.times))]))
    titles = _take_in(story, parts, split, data)
    world, past = _chosen(ratings, split, titles)
    with story.working("Starting the engine again, in a process of its own"):
        engine = Away(data)
    with engine:
        story.chapter(2, f"A real person of MovieLens goes on: number {world.who}")
        story.say(f"Rated before that day: {len(past)} films, the last ones {', '.join(past[-3:])}.")
        story.say("The list at that moment:")
        _tell(story, engine, world)
    story.chapter(6, "What staleness costs: the same lists from states and counts that are late")
    _staleness(parts, ratings.times[split], data)


def _staleness(parts: Sequence[Part], split: float, data: Path) -> None:
    """Replay what the person above did not see: everybody's last tenth. A quarter of it is asked, all of it learned."""
    from penchant.evaluation.replay import LAGS, Plan
    from penchant.serving.importers import read
    from penchant.serving.replaying import show

    items, events = ([event for _, event in read(part) if isinstance(event, Event)] for part in (parts[0], parts[-1]))
    show(Plan(items, events, float(split), source=data, every=4), list(LAGS), Path("replay.png"))


def _movielens(folder: Path) -> list[Part]:
    """Films and ratings; raises InvalidInput when one is missing."""
    from penchant.serving.importers import plan

    parts = [part for part in plan(folder) if part.what != "users"]
    if [part.what for part in parts] != ["items", "events"]:
        raise InvalidInput(
            "it needs one file of items and one of events.",
            field="data",
            value=str(folder),
            way_out="Give the unpacked folder of MovieLens-1M.",
        )
    return parts


def _ratings(part: Part) -> Ratings:
    from penchant.serving.importers import read

    one: dict[str, str] = {}  # each name is kept once
    users, items, values, times = [], [], [], []
    for _, event in read(part):
        if isinstance(event, Event):
            users.append(one.setdefault(event.user or "", event.user or ""))
            items.append(one.setdefault(event.item or "", event.item or ""))
            values.append(math.nan if event.value is None else event.value)
            times.append(event.time or 0.0)
    return Ratings(
        np.array(users, object), np.array(items, object), np.array(values, np.float32), np.array(times, np.float64)
    )


def _take_in(story: Story, parts: Sequence[Part], split: int, data: Path) -> dict[str, str]:
    """Import as `penchant import` does, of the events the first ``split``; titles by item."""
    from penchant.serving.cli.loading import Loading, interruptible
    from penchant.serving.cli.options import opened
    from penchant.serving.importers import read

    began = time.perf_counter()
    with (
        opened(data, text_threads=os.cpu_count() or 1) as engine,
        interruptible() as stopping,
        Loading(engine, data, stopping) as loading,
    ):
        loading.take(parts, upto=split)
    if stopping():
        raise KeyboardInterrupt
    taken = sum(tally.taken for tally in loading.tallies)
    story.say(f"{taken:,} films and ratings taken in, texts read, in {time.perf_counter() - began:.0f} s.")
    events = (event for _, event in read(parts[0]) if isinstance(event, Event))
    titles = {event.item or "": _titled(event.fields) for event in events}
    return titles | {NEWCOMER.id: _titled(NEWCOMER.fields)}


def _chosen(ratings: Ratings, split: int, titles: dict[str, str]) -> tuple[World, list[str]]:
    """The first one after the split with a past of some length who goes on; and what this person rated before."""
    users, counts = np.unique(ratings.users[:split], return_counts=True)
    past = dict(zip(users.tolist(), counts.tolist(), strict=True))
    later = ratings.users[split:]
    for who in dict.fromkeys(later.tolist()):
        rows = split + np.flatnonzero(later == who)[:_STEPS]
        if len(rows) == _STEPS and _PAST[0] <= past.get(who, 0) <= _PAST[1]:
            break
    else:
        raise InvalidInput("nobody in it goes on.", field="data", value="", way_out="Give MovieLens-1M.")
    steps = [
        Event(
            user=who,
            action="rate",
            item=ratings.items[row],
            value=float(ratings.values[row]),
            time=float(ratings.times[row]),
        )
        for row in rows.tolist()
    ]
    before = ratings.items[:split][ratings.users[:split] == who].tolist()
    world = World(str(who), steps, "someone new", titles, float(ratings.times[rows[-1]]) + 1.0)
    return world, [titles.get(item, item) for item in before]
