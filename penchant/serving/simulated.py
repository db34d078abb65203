"""The chapter of the demo on training: a simulated audience, and version 0 against a version trained on it.

Only where torch is installed. The people are made up (`audience`), and the chapter says so before anything else; the
figures are measured while it runs, by the gate that every training passes: both versions answer the same questions,
through the real engine, and what is asked for was not learned from.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from rich.markup import escape

from penchant.serving import screens
from penchant.serving.audience import Audience, simulate
from penchant.serving.away import Away
from penchant.serving.screens import Story
from penchant.types import Item, Query, Slate

if TYPE_CHECKING:
    from penchant.learning.pretrain import Report
    from penchant.learning.train import Outcome

SHOWN = 8
# A reader waits for it, so it takes few and steep steps; for 2,000 people with 300 films that is enough.
RECIPE = {"epochs": 5, "tokens": 2048, "learning_rate": 0.02, "warm_up": 20, "average": 0.97, "dropout": 0.1}
_ASKED = 0.96  # of the time is learned from, what comes after is asked for
_BATCH = 2000
_AGO = 60.0  # seconds: the audience clicks until then


class Someone(NamedTuple):
    """A person of the audience: what they clicked, in order, and what the plan says comes next."""

    name: str
    clicked: list[str]
    next: str


def tell(story: Story, engine: Away, data: Path, films: Sequence[Item], titles: dict[str, str]) -> None:
    """Chapter 6, or one line where torch is missing. ``data``: the folder that ``engine`` holds."""
    if find_spec("torch") is None:
        story.say("\nThe demo can also train a model. Training needs [bold]pip install 'penchant\\[train]'[/].")
        return
    story.chapter(6, "Training, on a SIMULATED audience")
    audience = simulate(films, time.time() - _AGO)
    _introduce(story, audience)
    _send(story, engine, audience)
    someone = chosen(audience)
    before = _list(engine, someone)
    outcome = _train(story, data)
    _judge(story, outcome)
    began = time.perf_counter()
    engine.use_current()
    after, took = _list(engine, someone), time.perf_counter() - began
    _show(story, someone, (before, after), titles)
    _check_in_use(story, (before, after), outcome, took)


def chosen(audience: Audience) -> Someone:
    """The one who clicked last of all, among those to whom the film that comes next by the plan is new."""
    everybody = dict.fromkeys(click.user or "" for click in reversed(audience.clicks))
    for name in everybody:
        clicked = [click.item or "" for click in audience.clicks if click.user == name]
        film = audience.goes_on_to(name, clicked[-1])
        if film not in clicked:
            break
    return Someone(name, clicked, film)


def _introduce(story: Story, audience: Audience) -> None:
    story.say(
        f"[bold yellow]These {len(audience.people):,} people do not exist.[/] A seeded program makes them up and plants"
        " two things in them: tastes, which follow what the films say of themselves; and a habit, which no text tells:"
        " after a click, two times in three, they go on to one certain film, which depends on that click and on the"
        " genres they love. Figures about them show what a training can find, not how good it is for your people."
    )


def _send(story: Story, engine: Away, audience: Audience) -> None:
    began, taken = time.perf_counter(), 0
    with story.working("The simulated audience clicks"):
        for start in range(0, len(audience.clicks), _BATCH):
            taken += engine.ingest(*audience.clicks[start : start + _BATCH]).accepted
    story.say(f"{taken:,} simulated clicks of three weeks, taken in within {time.perf_counter() - began:.1f} s.")


def _list(engine: Away, someone: Someone) -> Slate:
    return engine.recommend(Query(user=someone.name, limit=SHOWN))


def _train(story: Story, data: Path) -> Outcome:
    """Beside the engine, which goes on answering: of its folder, the learner reads the log and adds a version."""
    from penchant.learning import train
    from penchant.learning.source import Source
    from penchant.serving.replaying import ReplayProgress

    began = time.perf_counter()
    options = train.Options(size="small", refit=False, changed=RECIPE)
    with Source(data) as source, ReplayProgress(screens.errors) as progress:

        def report(now: Report) -> None:
            if now.step:  # none: an epoch was measured
                progress("training", round(100 * (now.epoch + now.step / now.steps) / now.epochs), 100)

        moment = float(np.quantile(source.histories.time, _ASKED))
        planned = train.plan(source, options)._replace(moment=moment)
        outcome = train.train(source, planned, options, train.Told(lambda _: None, report, progress))
    story.say(f"Trained, measured and published in {time.perf_counter() - began:.0f} s.")
    return outcome


def _judge(story: Story, outcome: Outcome) -> None:
    verdict = outcome.verdict
    if verdict is None:
        story.check(False, "the gate was asked")
        return
    low, high = verdict.difference
    story.say(
        f"The next click, asked {verdict.questions:,} times before either version had seen it. NDCG@10:"
        f" version 0 [bold]{verdict.version_0:.3f}[/], trained [bold]{verdict.trained:.3f}[/]"
        f" (95% interval of the difference: {low:+.3f} to {high:+.3f})."
    )
    story.check(low > 0.0 and verdict.passed, "on the simulated audience, the trained version beats version 0")


def _show(story: Story, someone: Someone, lists: tuple[Slate, Slate], titles: dict[str, str]) -> None:
    """One person's list under both versions, and where the film of the plan stands."""
    last = " → ".join(escape(titles[film]) for film in someone.clicked[-3:])
    story.say(f"\nThe last one to click was {someone.name}: {last}.")
    story.say(f"By the plan, two times in three, [bold green]{escape(titles[someone.next])} ◀[/] comes next:")
    story.compare(dict(zip(("version 0", "trained"), lists, strict=True)), titles, someone.next)
    first, second = (_place(answer, someone.next) for answer in lists)
    story.say(f"It stands {first} under version 0, {second} under the trained version.")


def _place(answer: Slate, film: str) -> str:
    rank = next((rank for rank, one in enumerate(answer.items, 1) if one.item == film), None)
    return f"at place {rank}" if rank else f"not among the first {len(answer.items)}"


def _check_in_use(story: Story, lists: tuple[Slate, Slate], outcome: Outcome, took: float) -> None:
    before, after = (answer.version for answer in lists)
    story.check(
        outcome.used and after != before and after.endswith(f"-{outcome.path.name}"),
        f"the running engine went over from {before} to {after} and answered by it, within {took:.1f} s",
    )
