"""Texts about items for one person: what there is to say is gathered here, worded by `pipeline.content`, and checked.

    a list with reasons  ->  fields and strongest events of each item as phrases  ->  the writer  <->  the checker

Notable: of a person, only what was done with things that have a title, or typed, and that spoke for the item, becomes a
phrase: no event without an effect, no profile, no user id. Fields are left out whose names are sensitive
(`explanation`), or stand in the setting `sensitive`; what they hold is refused by the checker wherever else it stands.

Does not know: how a list is scored, or which patterns there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import structs

from penchant import records
from penchant.errors import InvalidInput
from penchant.parts import Parts
from penchant.pipeline import explanation
from penchant.pipeline.content import Draft, Phrase, Style, Subject, Writer
from penchant.pipeline.grounding import Past, Rules, check, facts_of
from penchant.pipeline.wording import KINDS, Speaker
from penchant.types import TITLE, Candidate, Content, Contents, Moved, Query, Slate, Writing

MOST = 100  # items at once, as many as are explained
LENGTHS = (1, 2000)
_MOST_SAID, _LONGEST = 3, 60  # values of a field, and characters of a value
_MADE = {  # who made a thing, by the name of the field
    "director": ("directed by {}", "由{}执导"),
    "导演": ("directed by {}", "由{}执导"),
    "author": ("by {}", "作者{}"),
    "作者": ("by {}", "作者{}"),
    "artist": ("by {}", "作者{}"),
    "brand": ("from {}", "品牌{}"),
    "品牌": ("from {}", "品牌{}"),
}


class About(NamedTuple):
    """An item as far as it may be told, what its sensitive fields are called, and which events to tell of."""

    item: str
    fields: Mapping[str, Any]
    title: str
    sensitive: Sequence[str]
    moved: Sequence[Moved]


def question(wanted: Writing) -> Query:
    """What is asked for, as a question for reasons. Raises InvalidInput."""
    if len(wanted.items) > MOST:
        way_out = f"Send at most {MOST} at once."
        raise InvalidInput("are too many to write about.", field="items", value=len(wanted.items), way_out=way_out)
    least, most = LENGTHS
    if not least <= wanted.longest <= most:
        way_out = f"Send {least} to {most} characters."
        raise InvalidInput("is no length of a text.", field="longest", value=wanted.longest, way_out=way_out)
    return Query(user=wanted.user, track=False, explain=True, language=wanted.language)


def write(parts: Parts, wanted: Writing, slate: Slate) -> Contents:
    """``slate``: these items with their reasons; of one that is not in it, fields alone are told. Raises NotFound."""
    found = {one.item: one for one in slate.items}
    speaker = Speaker(wanted.language, {name: one.said for name, one in parts.settings.actions.items()})
    writer = Writer(Style(wanted.kind, wanted.language, wanted.tone, wanted.longest))
    contents = []
    for item in dict.fromkeys(wanted.items):
        about = _about(parts, item, found.get(item))
        subject = Subject(item, _phrases(about, speaker))
        contents.append(_content(about, subject, writer, Rules(language=wanted.language, longest=wanted.longest)))
    return Contents(contents=contents, as_of=slate.as_of)


def _content(about: About, subject: Subject, writer: Writer, rules: Rules) -> Content:
    told = dict(about.fields) | ({TITLE: about.title} if about.title else {})
    pasts = [Past(one.action, one.title or "", one.words or "") for one in about.moved]
    facts = facts_of(told, pasts, sensitive=about.sensitive)
    return _told(about.item, writer.write(subject, lambda text: check(text, facts, rules).text == text))


def _told(item: str, draft: Draft) -> Content:
    facts: dict[str, list[str]] = {}
    for phrase in draft.used:
        for name, values in phrase.facts.items():
            facts[name] = list(dict.fromkeys([*facts.get(name, ()), *values]))
    events = list(dict.fromkeys(phrase.event for phrase in draft.used if phrase.event))
    return Content(item=item, text=draft.text, writer="template", facts=facts, events=events)


# -- what there is to say ----------------------------------------------------------------------------------------------


def _about(parts: Parts, item: str, candidate: Candidate | None) -> About:
    fields, settings = records.item(parts, item).fields, parts.settings
    shut = [name for name in fields if explanation.is_sensitive(name) or name in settings.sensitive]
    told = {name: value for name, value in fields.items() if name not in shut}
    moved = candidate.reason.moved if candidate is not None and candidate.reason is not None else []
    liked = {name for name, action in settings.actions.items() if action.weight > 0.0}
    title = " ".join((explanation.title(told, settings.title) or "").split())
    spoke = [one for one in moved if one.effect > 0.0 and one.action in liked and _of_another(one, item, title)]
    return About(item, fields, title, shut, _strongest([_open(one, shut) for one in spoke]))


def _of_another(moved: Moved, item: str, title: str) -> bool:
    """Typed words, or a thing that has a title and is not this one."""
    return bool(moved.words) if moved.item is None else moved.item != item and moved.title not in (None, title)


def _strongest(spoke: Sequence[Moved]) -> Sequence[Moved]:
    """The event that spoke most, and last the one that spoke most of those that share something."""
    near = next((one for one in spoke if one.shared), None)
    return spoke[:1] if near is None or near is spoke[0] else [spoke[0], near]


def _open(moved: Moved, shut: Sequence[str]) -> Moved:
    return structs.replace(moved, shared={name: values for name, values in moved.shared.items() if name not in shut})


def _phrases(about: About, speaker: Speaker) -> dict[str, Phrase]:
    """By what the writer calls them; of two fields that say the same kind of thing, the first."""
    phrases: dict[str, Phrase] = {}
    for name, phrase in (*_of_events(about, speaker), *_of_fields(about, speaker)):
        both = phrases.get("both")
        if name != "made" or both is None or phrase.facts.keys().isdisjoint(both.facts):  # it is not said twice
            phrases.setdefault(name, phrase)
    return phrases


def _of_events(about: About, speaker: Speaker) -> Iterator[tuple[str, Phrase]]:
    """A reason tells the event that spoke most, by what passed its effect on; a blurb one that shares something."""
    if not about.moved:
        return
    why, near = about.moved[0], about.moved[-1]
    yield "why", Phrase(speaker.did(why), {}, why.event)
    if link := speaker.link(why):
        yield "link", Phrase(link, speaker.told(why) if link == speaker.both(why) else {}, why.event)
    yield "did", Phrase(speaker.did(near), {}, near.event)
    if both := speaker.both(near):
        yield "both", Phrase(both, speaker.told(near), near.event)
    for name, values in near.shared.items():
        if name.casefold() in KINDS:
            yield "shared", _listed(name, values, speaker, near.event)


def _of_fields(about: About, speaker: Speaker) -> Iterator[tuple[str, Phrase]]:
    if about.title:
        yield "title", Phrase(about.title, {TITLE: [about.title]})
    for name, value in about.fields.items():
        values = _values(value) if name not in about.sensitive else []
        if values and name.casefold() in KINDS:
            yield "kinds", _listed(name, values, speaker)
        elif values and name.casefold() in _MADE:
            made = _MADE[name.casefold()][speaker.language == "zh"]
            yield "made", Phrase(made.format(speaker.listed(values[:_MOST_SAID])), {name: values[:_MOST_SAID]})


def _listed(name: str, values: Sequence[str], speaker: Speaker, event: str | None = None) -> Phrase:
    return Phrase(speaker.listed(values[:_MOST_SAID]), {name: values[:_MOST_SAID]}, event)


def _values(value: Any) -> list[str]:
    """Short texts, once each."""
    values = value if isinstance(value, list) else [value]
    texts = [" ".join(one.split()) for one in values if isinstance(one, str)]
    return list(dict.fromkeys(one for one in texts if 0 < len(one) <= _LONGEST))
