"""One tree of typed settings: file < environment < flag.

`penchant.toml` in the data folder, then `PENCHANT_<NAME>` for the plain values, then what the caller passes.
The dial to turn first is `neighbours`: how many neighbours an item may have in each count table. Memory and
quality follow from it; the defaults hold from a hundred to a hundred thousand items.
"""

from __future__ import annotations

import os
import tomllib
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct, field, structs

from penchant import policies
from penchant.errors import InvalidInput
from penchant.types import Language, Policy

FILE = "penchant.toml"
MOST_CONTEXTS = 62  # values that have a popularity of their own: bits of an int64
TABLES = ("weights", "actions", "policy", "slates", "retention")  # settings written as tables, last in the file
# What a running engine takes from the file: states, counts, vectors and texts do not depend on it.
LIVE = frozenset(
    {
        "weights",
        "fresh_half_life_days",
        "seen",
        "policy",
        "title",
        "max_field_bytes",
        "max_log_bytes",
        "max_memory_bytes",
        "snapshot_every",
        "sensitive",  # read anew by every training, and by every text that is written
        "retention",
    }
)


class Action(Struct, frozen=True, forbid_unknown_fields=True):
    """How strongly an action moves the person's state; below 0 it pushes away, and only above 0 is it counted.

    ``said``: how a reason tells of it, by language: ``{ en = "streamed", zh = "播放过" }``.
    """

    weight: float = 1.0
    said: dict[Language, str] = {}


class Slates(Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of lists that a server answered, and how they are joined with what was done about them.

    share        of the lists, drawn at random, 0 to 1; 0: none is kept
    days         for so long
    most_bytes   and in so much room, or else the oldest go
    window_minutes  so long after a list, what was done with its items belongs to it
    conversions  actions that count as a success beyond a click
    shown        ``answered``: every item of a list counts as shown; ``told``: those that impressions name
    """

    share: float = 1.0
    days: float = 7.0
    most_bytes: int = 2**30
    window_minutes: float = 30.0
    conversions: tuple[str, ...] = ("buy", "subscribe", "complete")
    shown: Literal["answered", "told"] = "answered"


class Retention(Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of what people did; the rest is dropped as if it had never been sent.

    events  the last so many interactions of a person, and as many impressions; 0: all. Somebody is cut down to them
            who has a quarter more
    days    what is not older than this; 0: all
    """

    events: int = 0
    days: float = 0.0


def default_actions() -> dict[str, Action]:
    strong = dict.fromkeys(("buy", "cart", "like", "save", "share", "subscribe", "complete"), Action(1.5))
    plain = dict.fromkeys(("click", "rate", "play", "read", "search", "comment"), Action(1.0))
    weak = {"view": Action(0.5)}
    against = dict.fromkeys(("dislike", "hide", "skip"), Action(-0.5))
    return {**plain, **strong, **weak, **against}


def default_weights() -> dict[str, float]:
    """What each feature of `pipeline.ranking` weighs in version 0; how they were chosen stands in docs/log.md."""
    return {
        "text": 1.5,
        "transitions": 1.0,
        "recent_transitions": 0.0,
        "neighbours": 0.3,
        "together": 0.0,
        "similar_people": 0.0,
        "popularity": 0.0,
        "context_popularity": 0.0,
        "freshness": 0.05,
        "again": 0.0,
    }


class Settings(Struct, forbid_unknown_fields=True):
    """All settings with their defaults.

    durability      ``process``: an acknowledged event survives kill -9; ``power``: also the loss of power
    encoder         a folder or a hub name of a sentence encoder; empty: all-MiniLM-L6-v2
    template        how an item's fields become text, e.g. ``"{title}. {genres}"``; empty: every text field in order
    title           the field by which reasons call an item; empty: `title`, `name`, or else the first text field
    neighbours      the dial: most neighbours kept for an item in each count table
    half_life_days  after so many days, an interaction counts half for what is recent
    contexts        values of the context that have a popularity of their own, by field: ``device = ["tv", "phone"]``
    fresh_half_life_days  after so many days, an item is half as new, before anything was trained
    seen            what lists hide where a query does not say it: ``ever`` all that the person met, ``allow`` nothing
    text_threads    threads that the language model may use; more than 1 only where nothing is served meanwhile
    ratings         actions whose values say how much the person liked the item
    sensitive       profile fields that a training may read although they are sensitive (age, gender, ...), by name; of
                    an item, fields of these names are told in no text (docs/content.md)
    snapshot_every  events between two snapshots of states and counts; a restart replays what came after the last
    max_log_bytes   most bytes of the log (events.db and its WAL), 0: no end; beyond, events are refused, lists go on
    max_memory_bytes  most memory of the process, 0: no end; beyond, events of people and items not known are refused
    log_format      lines of a server's log: ``json``, ``text``, or ``auto``: text where stderr is a terminal
    log_level       the least that is worth a line: ``debug`` (every request), ``info``, ``warning`` or ``error``
    open            answer whoever can reach the server on an address other than loopback, where no key was ever made
    max_open_tenants  tenants that are open at once; beyond, the one that was asked longest ago is closed
    tenant_idle_seconds  a tenant that nobody asks for so long is closed, and opened again when somebody does
    weights         what each feature weighs in the score, before anything was trained; one not named has its default
    actions         what each action weighs in what a person is about; naming one replaces all defaults
    slates          what is kept of lists that were answered, and what belongs to them (`Slates`)
    policy          how lists are made of candidates where a query does not say it (`types.Policy`): diversity, caps ...
    retention       how much is kept of what people did (`Retention`); all of it by default
    """

    durability: Literal["process", "power"] = "process"
    encoder: str = ""
    template: str = ""
    title: str = ""
    neighbours: int = 256
    half_life_days: float = 7.0
    contexts: dict[str, tuple[str | int | float | bool, ...]] = field(default_factory=dict)
    fresh_half_life_days: float = 7.0
    seen: Literal["ever", "allow"] = "ever"
    text_threads: int = 1
    sensitive: tuple[str, ...] = ()
    ratings: tuple[str, ...] = ("rate",)
    snapshot_every: int = 200_000
    max_field_bytes: int = 65_536
    max_log_bytes: int = 0
    max_memory_bytes: int = 0
    log_format: Literal["auto", "json", "text"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    host: str = "127.0.0.1"
    port: int = 7461
    open: bool = False
    max_open_tenants: int = 16
    tenant_idle_seconds: float = 900.0
    weights: dict[str, float] = field(default_factory=default_weights)
    actions: dict[str, Action] = field(default_factory=default_actions)
    policy: Policy = field(default_factory=Policy)
    slates: Slates = Slates()
    retention: Retention = Retention()


def load_settings(folder: Path, **flags: Any) -> Settings:
    """Settings of a data folder.

    Raises InvalidInput naming the setting, its value and the allowed ones.
    """
    values: dict[str, Any] = _from_file(folder / FILE)
    values.update(_from_environment())
    values.update({name: value for name, value in flags.items() if value is not None})
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput(
            f"{error}.", field="settings", value=values, way_out=f"Correct {FILE} or the flag."
        ) from None
    settings.weights = default_weights() | settings.weights
    _check_ranges(settings)
    _check_weights(settings)
    policies.check(settings.policy)
    return settings


def changed(before: Settings, after: Settings) -> list[str]:
    """Names of the settings that differ."""
    return [name for name in before.__struct_fields__ if getattr(before, name) != getattr(after, name)]


def write_settings(folder: Path, settings: Settings) -> Path:
    """Write what differs from the defaults, so that a later default still reaches old folders."""
    defaults, lines = Settings(), ["# Penchant settings; what is not named here has its default."]
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        if value != getattr(defaults, name) and name not in (*TABLES, "contexts"):
            lines.append(f"{name} = {_written(value)}")
    if settings.contexts:
        lines += ["\n[contexts]", *(f"{_written(name)} = {_written(its)}" for name, its in settings.contexts.items())]
    if settings.weights != defaults.weights:
        lines += ["\n[weights]", *(f"{name} = {weight}" for name, weight in settings.weights.items())]
    if settings.actions != defaults.actions:
        lines += [
            f"\n[actions.{_written(name)}]\nweight = {action.weight}{_said(action)}"
            for name, action in settings.actions.items()
        ]
    for table in ("policy", "slates", "retention"):
        its, standard = getattr(settings, table), getattr(defaults, table)
        said = {name: value for name, value in structs.asdict(its).items() if value != getattr(standard, name)}
        lines += [f"\n[{table}]", *(f"{name} = {_inline(value)}" for name, value in said.items())] if said else []
    path = folder / FILE
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _said(action: Action) -> str:
    return f"\nsaid = {_inline(action.said)}" if action.said else ""


def _written(value: object) -> str:
    """What is JSON here is TOML, too."""
    return msgspec.json.encode(value).decode()


def _inline(value: Any) -> str:
    """The same of what holds tables, each in a line of its own."""
    value = msgspec.to_builtins(value)
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_written(name)} = {_inline(one)}' for name, one in value.items())} }}"
    return f"[{', '.join(map(_inline, value))}]" if isinstance(value, list | tuple) else _written(value)


def _from_file(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(
            f"not TOML: {error}.", field="settings", value=path.name, way_out="Correct the line."
        ) from None


_NOT_PLAIN = frozenset((*TABLES, "contexts", "sensitive", "ratings"))


def _from_environment() -> dict[str, str]:
    plain = [name for name in Settings.__struct_fields__ if name not in _NOT_PLAIN]
    return {name: os.environ[key] for name in plain if (key := f"PENCHANT_{name.upper()}") in os.environ}


def _check_ranges(settings: Settings) -> None:
    ranges = {
        "neighbours": (8, 4096),
        "half_life_days": (1 / 24, 36_500),
        "fresh_half_life_days": (1 / 24, 36_500),
        "snapshot_every": (1, 10**9),
        "text_threads": (1, 256),
        "max_field_bytes": (16, 2**24),
        "max_log_bytes": (0, 2**60),
        "max_memory_bytes": (0, 2**60),
        "port": (0, 65_535),
        "max_open_tenants": (1, 10_000),
        "tenant_idle_seconds": (1, 10**9),
        "slates.share": (0, 1),
        "slates.days": (0, 3650),
        "slates.most_bytes": (2**20, 2**50),
        "slates.window_minutes": (1 / 60, 7 * 1440),
        "retention.events": (0, 10**9),
        "retention.days": (0, 36_500),
    }
    for name, (low, high) in ranges.items():
        value = attrgetter(name)(settings)
        if not low <= value <= high:
            raise InvalidInput(f"must lie in {low:g}..{high:g}.", field=name, value=value, way_out=f"Correct {FILE}.")
    values = [value for its in settings.contexts.values() for value in its]
    if len(values) > MOST_CONTEXTS or not all(len(set(its)) == len(its) > 0 for its in settings.contexts.values()):
        raise InvalidInput(
            f"at most {MOST_CONTEXTS} values in all, each once, and one at least of each field.",
            field="contexts",
            value=settings.contexts,
            way_out=f"Correct [contexts] in {FILE}.",
        )
    if len(settings.actions) > 255 or not settings.actions:
        raise InvalidInput("1 to 255 actions.", field="actions", value=len(settings.actions), way_out="Name fewer.")


def _check_weights(settings: Settings) -> None:
    weights = {f"weights.{name}": weight for name, weight in settings.weights.items()}
    weights |= {f"actions.{name}.weight": action.weight for name, action in settings.actions.items()}
    for name, weight in weights.items():
        if not -100 <= weight <= 100:  # neither is a NaN
            raise InvalidInput("must lie in -100..100.", field=name, value=weight, way_out=f"Correct {FILE}.")
    for name, weight in settings.weights.items():
        if name not in default_weights():
            known = ", ".join(default_weights())
            raise InvalidInput("is no feature.", field=f"weights.{name}", value=weight, way_out=f"Known are {known}.")
