"""The template writer: a title, a blurb or a reason about one item for one person, in English or Chinese.

    phrases of one item, and what they are facts of  ->  patterns they fill, the fullest first  ->  the first that holds

Notable: nothing is written but reviewed patterns around phrases that somebody else made of facts, and whether a text
holds is asked of whoever hands the items over (`holds`: the checker). A pattern needs all its phrases; what is not
known, or does not hold, makes a shorter text, and at last the title alone, never a wrong one. Of patterns that say as
much, the one is taken that stands in this list least, so that items beside each other are not told alike; of these,
one by a hash of the item and its facts, so that the same facts are told in the same words.

Does not know: people, events, fields, or how a phrase is worded.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from string import Formatter
from typing import NamedTuple

from penchant.types import ContentKind, Language, Tone

TITLE = "title"  # the phrase that every pattern falls back to

Tiers = Sequence[Sequence[str]]
Holds = Callable[[str], bool]


class Phrase(NamedTuple):
    """A piece of a text, and what it tells: values by field, and the event that it is about."""

    text: str
    facts: Mapping[str, Sequence[str]]
    event: str | None = None


class Subject(NamedTuple):
    """An item to be written about: its id, which is never written, and what there is to say, by name.

    title   what it is called          both     what it shares with what the person did, as a clause
    kinds   what it is: genres, tags   shared   the kinds among that
    made    who made it                link     why it is there, as a clause
    did     what the person did with another item: "watched Alien (1979)"; ``why``: the event that ``link`` is about
    """

    item: str
    phrases: Mapping[str, Phrase]


class Draft(NamedTuple):
    """``text``: empty where not even the title may be said; ``used``: its phrases, in their order."""

    text: str
    used: Sequence[Phrase]


class Style(NamedTuple):
    """How a text is to be."""

    kind: ContentKind
    language: Language
    tone: Tone
    longest: int


class Writer:
    """Writes about the items of one list, one after the other."""

    def __init__(self, style: Style) -> None:
        self.style = style
        self._tiers = [*TIERS[style.language, style.kind, style.tone], ["{title}"]]
        self._told: Counter[str] = Counter()  # by pattern

    def write(self, subject: Subject, holds: Holds) -> Draft:
        """``holds``: whether all that a text says is true of this item and person."""
        for pattern in self._fitting(subject):
            draft = filled(pattern, subject.phrases)
            if len(draft.text) <= self.style.longest and holds(draft.text):
                self._told[pattern] += 1
                return draft
        return self._begun(subject, holds)

    def _fitting(self, subject: Subject) -> Iterator[str]:
        """Patterns that the phrases fill: the fullest first, of these the one told least, then by the seed."""
        choice = random.Random(self._seed(subject))
        for tier in self._tiers:
            fitting = [pattern for pattern in tier if _slots(pattern) <= subject.phrases.keys()]
            choice.shuffle(fitting)
            yield from sorted(fitting, key=self._told.__getitem__)

    def _seed(self, subject: Subject) -> int:
        said = (subject.item, *self.style[:3], *(phrase.text for phrase in subject.phrases.values()))
        return int.from_bytes(hashlib.blake2b(repr(said).encode("utf-8", "replace"), digest_size=8).digest(), "big")

    def _begun(self, subject: Subject, holds: Holds) -> Draft:
        """As much of a long title as there is room for, by whole words."""
        title = subject.phrases.get(TITLE)
        if title is None or len(title.text) <= self.style.longest:
            return Draft("", ())
        text = title.text[: self.style.longest + 1].rpartition(" ")[0].rstrip(" ,;:-–—(")
        return Draft(text, (title,)) if text and holds(text) else Draft("", ())


def _slots(pattern: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(pattern) if name}


def filled(pattern: str, phrases: Mapping[str, Phrase]) -> Draft:
    """A title that ends a sentence with a mark of its own needs no full stop; a text begins with a capital."""
    text, used = "", []
    for words, name, _, _ in Formatter().parse(pattern):
        text += words[1:] if words.startswith(".") and text.endswith((".", "!", "?")) else words
        if name:
            phrase = phrases[name]
            text += phrase.text if text or name == TITLE else phrase.text[:1].upper() + phrase.text[1:]
            used.append(phrase)
    return Draft(text, used)


# -- the patterns, by how much they say --------------------------------------------------------------------------------


def _and_made(patterns: Iterable[str], more: str) -> list[str]:
    return [pattern + more for pattern in patterns]


_BLURB = (
    "You {did}, and {title} goes with it: {both}.",
    "You {did}. {title} is similar: {both}.",
    "You {did}; {title} follows on from there: {both}.",
    "You {did}. Now there is {title}: {both}.",
    "You {did}, so here is {title}: {both}.",
    "You {did}. {title} is related: {both}.",
    "You {did}. Next comes {title}: {both}.",
    "You {did}, and from there it is one step to {title}: {both}.",
)
_WARM_BLURB = (
    "Chosen for you: {title}. You {did}, and it goes with that: {both}.",
    "Remember when you {did}? {title} is related: {both}.",
    "You {did}, so we picked {title} for you: {both}.",
    "We kept {title} for you. You {did}, and it is similar: {both}.",
    "{title} is a good match for you. You {did}, and it is related: {both}.",
    "Here is something for you: {title}. You {did}, and they go together: {both}.",
    "Hello! You {did}, so you may like {title}: {both}.",
    "We thought of you: you {did}, and {title} is similar: {both}.",
)
_ABOUT = (
    ("You {did}. Now there is {title}: {kinds}.", "You {did}. Next comes {title}, listed under {kinds}."),
    (
        "{title}, {made}: {kinds}.",
        "{kinds}: {title}, {made}.",
        "Here is {title}, {made}, listed under {kinds}.",
        "{title} is {made}, and it is listed under {kinds}.",
    ),
    (
        "{title}: {kinds}.",
        "Listed under {kinds}: {title}.",
        "{title} is listed under {kinds}.",
        "Here is {title}, listed under {kinds}.",
    ),
    ("{title}, {made}.", "Here is {title}, {made}.", "{title} is {made}."),
)
_WARM_ABOUT = (
    ("Chosen for you: {title}, {made}, listed under {kinds}.", "We picked {title}, {made}, for you: {kinds}."),
    ("Chosen for you: {title}, listed under {kinds}.", "We picked {title} for you: {kinds}."),
    ("Chosen for you: {title}, {made}.", "We picked {title}, {made}, for you."),
    ("Chosen for you: {title}.", "We picked {title} for you."),
)
_HEADING = ("More {shared}: {title}", "{shared} again: {title}", "{title}: more {shared}", "Next in {shared}: {title}")
_WARM_HEADING = (
    "More {shared} for you: {title}",
    "{shared} for you: {title}",
    "{title}: more {shared} for you",
    "Chosen for you from {shared}: {title}",
)
_HEADED = (("{title}: {kinds}", "{kinds}: {title}"), ("{title}, {made}",))
_WARM_HEADED = (("{kinds} for you: {title}",), ("For you: {title}, {made}",), ("For you: {title}", "{title}, for you"))
_REASON = (
    "Because you {why}: {link}.",
    "Here because you {why}: {link}.",
    "Since you {why}: {link}.",
    "This is here because you {why}: {link}.",
    "Picked because you {why}: {link}.",
    "It is on this list since you {why}: {link}.",
    "You {why}, hence this one: {link}.",
    "You {why}; that led here: {link}.",
)
_WARM_REASON = (
    "For you, because you {why}: {link}.",
    "We picked this for you because you {why}: {link}.",
    "You {why}, so we thought of you: {link}.",
    "Chosen for you, since you {why}: {link}.",
    "Remember when you {why}? That is why we show you this: {link}.",
)
_BARE_REASON = ("Because you {why}.", "Here because you {why}.", "Picked because you {why}.", "You {why}, hence this.")

_BLURB_ZH = (
    "您{did}，《{title}》与之相似：{both}。",
    "您{did}，不妨看看《{title}》：{both}。",
    "您{did}，接下来可以看看《{title}》：{both}。",
    "《{title}》与您的选择相近。您{did}：{both}。",
    "您{did}，《{title}》也值得了解：{both}。",
    "《{title}》和您的足迹有关：您{did}，{both}。",
    "您{did}，由此找到《{title}》：{both}。",
    "您{did}，下一个选择可以是《{title}》：{both}。",
)
_WARM_BLURB_ZH = (
    "为您选了《{title}》：您{did}，{both}。",
    "送给您：《{title}》。您{did}，{both}。",
    "您好！您{did}，《{title}》或许也适合您：{both}。",
    "您{did}，我们为您找来《{title}》：{both}。",
    "还记得您{did}吗？《{title}》与之相近：{both}。",
    "您{did}，相信《{title}》也合您的口味：{both}。",
)
_ABOUT_ZH = (
    ("您{did}，现在还有《{title}》：{kinds}。", "您{did}，不妨看看《{title}》，属于{kinds}。"),
    ("《{title}》，{made}，属于{kinds}。", "《{title}》属于{kinds}，{made}。", "{kinds}：《{title}》，{made}。"),
    ("《{title}》：{kinds}。", "《{title}》属于{kinds}。", "{kinds}：《{title}》。", "归入{kinds}：《{title}》。"),
    ("《{title}》，{made}。",),
)
_WARM_ABOUT_ZH = (
    ("送给您：《{title}》，{made}，属于{kinds}。", "为您选了《{title}》，属于{kinds}，{made}。"),
    ("送给您：《{title}》，属于{kinds}。", "为您选了《{title}》：{kinds}。"),
    ("送给您：《{title}》，{made}。", "为您选了《{title}》，{made}。"),
    ("送给您：《{title}》。", "为您选了《{title}》。"),
)
_HEADING_ZH = (
    "更多{shared}：《{title}》",
    "再看{shared}：《{title}》",
    "《{title}》：又是{shared}",
    "还有{shared}：《{title}》",
)
_WARM_HEADING_ZH = ("为您选的{shared}：《{title}》", "送给您的{shared}：《{title}》", "《{title}》：给您更多{shared}")
_HEADED_ZH = (("《{title}》：{kinds}", "{kinds}：《{title}》"), ("《{title}》，{made}",))
_WARM_HEADED_ZH = (("送给您的{kinds}：《{title}》",), ("送给您：《{title}》，{made}",), ("送给您：《{title}》",))
_REASON_ZH = (
    "因为您{why}：{link}。",
    "您{why}，{link}。",
    "推荐的理由：您{why}，{link}。",
    "选中它，是因为您{why}：{link}。",
    "由于您{why}，它在这里：{link}。",
    "它在这里，是因为您{why}：{link}。",
)
_WARM_REASON_ZH = (
    "为您选中它，是因为您{why}：{link}。",
    "您{why}，我们便为您找来它：{link}。",
    "送给您，因为您{why}：{link}。",
    "还记得您{why}吗？{link}。",
)
_BARE_REASON_ZH = ("因为您{why}。", "推荐的理由：您{why}。", "选中它，是因为您{why}。")

TIERS: dict[tuple[Language, ContentKind, Tone], Tiers] = {
    ("en", "blurb", "plain"): (_and_made(_BLURB, " {title} is {made}."), _BLURB, *_ABOUT, ("{title}.",)),
    ("en", "blurb", "warm"): (_and_made(_WARM_BLURB, " {title} is {made}."), _WARM_BLURB, *_WARM_ABOUT),
    ("en", "title", "plain"): (_HEADING, *_HEADED),
    ("en", "title", "warm"): (_WARM_HEADING, *_WARM_HEADED),
    ("en", "reason", "plain"): (_REASON, _BARE_REASON),
    ("en", "reason", "warm"): (_WARM_REASON, ("For you, because you {why}.", *_BARE_REASON)),
    ("zh", "blurb", "plain"): (_and_made(_BLURB_ZH, "《{title}》{made}。"), _BLURB_ZH, *_ABOUT_ZH, ("《{title}》。",)),
    ("zh", "blurb", "warm"): (_and_made(_WARM_BLURB_ZH, "《{title}》{made}。"), _WARM_BLURB_ZH, *_WARM_ABOUT_ZH),
    ("zh", "title", "plain"): (_HEADING_ZH, *_HEADED_ZH, ("《{title}》",)),
    ("zh", "title", "warm"): (_WARM_HEADING_ZH, *_WARM_HEADED_ZH),
    ("zh", "reason", "plain"): (_REASON_ZH, _BARE_REASON_ZH),
    ("zh", "reason", "warm"): (_WARM_REASON_ZH, _BARE_REASON_ZH),
}
