"""What may be said of one item to one person, compiled once from the item's fields and the person's true events.

Notable: what counts as a fact depends on where it stands.

    short values (titles, tags, numbers; up to 12 words)   names, numbers, dates and attributes
    long text (descriptions)                               evidence for lower-case words, and for numbers together with
                                                           the word that follows; never names
    titles and words of events                             names of things the person acted on, whole; no more

Item text is untrusted. A sentence of a long text that speaks to a writer or a reader ("ignore ...", "write ...",
"visit ...") or holds a link, an address, a telephone number or markup is no evidence for anything; a short value that
does is no fact. A word that a text denies ("no batteries", "acid-free") is known as denied.

Does not know: drafts; whether a fact is true of the world.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from msgspec import Struct

from penchant.pipeline.grounding.reading import Token, plain, sequence, stem, tokens
from penchant.pipeline.grounding.untrusted import commands, hostile
from penchant.pipeline.grounding.vocabulary import DIGITS_ZH, MONTHS, MULTIPLES, NUMBERS, UNITS, vocabulary

SHORT = 12  # words (a Chinese character is half a word) up to which a text is a value and not a description
TITLES = ("title", "name", "headline", "标题", "名称", "片名")
DATED = re.compile(r"year|released?|date|published|年|日期")
_ARTICLE = re.compile(r"(?i)(.*), (the|an?|les?|la|l'|das|der|die|il|el|los|las)")
_SENTENCE = re.compile(r"(?<=[.!?。！？；])\s+|(?<=[。！？；])|\n")
_CLAUSE = frozenset(',;:.!?()。、—–"')
_STOPS = frozenset(("but", "because", "since", "so", "though", "although", "yet", "which", "但", "而"))
_REACH = 3  # words that a denial in a catalogue's text reaches


class Past(Struct, frozen=True):
    """Something the person truly did: with a thing of that ``title``, or with the ``words`` of a search."""

    action: str
    title: str = ""
    words: str = ""
    value: float | None = None


class Number(NamedTuple):
    """``unit``: what follows it, by its stem; "" where a field holds the number alone. ``field``: where it stands."""

    value: float
    unit: str
    field: str


class Facts(NamedTuple):
    """``names``: sequences of tokens by their first, and the fields of each; ``spoken``: words that may be written with
    a capital; ``words``: stems of words that are told, ``denied``: of those that are denied; ``pairs``: neighbours in
    short values and long texts; ``chinese``: Chinese text of the fields, clause by clause."""

    names: Mapping[str, tuple[tuple[str, ...], ...]]
    fields: Mapping[tuple[str, ...], frozenset[str]]
    spoken: frozenset[str]
    words: frozenset[str]
    tags: frozenset[str]
    denied: frozenset[str]
    pairs: frozenset[tuple[str, str]]
    numbers: tuple[Number, ...]
    years: frozenset[int]
    months: frozenset[str]
    chinese: tuple[str, ...]
    actions: frozenset[str]
    values: Mapping[tuple[str, ...], float]
    hidden: tuple[tuple[str, ...], ...]


def facts_of(
    fields: Mapping[str, Any],
    past: Sequence[Past] = (),
    *,
    sensitive: Iterable[str] = (),
    aliases: Mapping[str, Sequence[str]] | None = None,
) -> Facts:
    """``sensitive``: names of fields of which nothing may be said; ``aliases``: other words for a value of a field
    (``{"Sci-Fi": ["science fiction", "科幻"]}``), from whoever keeps the catalogue."""
    shut = set(sensitive)
    kept = _Collected(aliases or {})
    for name, value in _leaves(fields):
        if shut.isdisjoint(_path(name)):
            kept.add(name, value)
        elif isinstance(value, str) and len(value) > 2:
            kept.hidden.append(sequence(value))
    for one in past:
        kept.happened(one)
    return kept.compiled()


def _path(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: k + 1]) for k in range(len(parts))]


def _leaves(fields: Mapping[str, Any], under: str = "") -> Iterator[tuple[str, str | float]]:
    """Every single value with the path of names that leads to it; a list's values under the list's name."""
    for name, value in fields.items():
        many = value if isinstance(value, list | tuple) else [value]
        for one in many:
            if isinstance(one, Mapping):
                yield from _leaves(one, f"{under}{name}.")
            elif isinstance(one, str | int | float) and not isinstance(one, bool):
                yield f"{under}{name}", one


class _Collected:
    """Facts as they are gathered, value by value."""

    def __init__(self, aliases: Mapping[str, Sequence[str]]) -> None:
        self.aliases = {sequence(name): tuple(others) for name, others in aliases.items()}
        self.fields: dict[tuple[str, ...], set[str]] = {}
        self.spoken: set[str] = set()
        self.words: set[str] = set()
        self.tags: set[str] = set()
        self.denied: set[str] = set()
        self.pairs: set[tuple[str, str]] = set()
        self.numbers: list[Number] = []
        self.years: dict[int, set[int]] = {}  # by how surely they date the item
        self.months: set[str] = set()
        self.chinese: list[str] = []
        self.actions: set[str] = set()
        self.values: dict[tuple[str, ...], float] = {}
        self.hidden: list[tuple[str, ...]] = []

    def add(self, field: str, value: str | float) -> None:
        if not isinstance(value, str):
            self.numbers.append(Number(float(value), "", field))
            self._year(float(value), field)
            return
        text = plain(html.unescape(value))
        said = sequence(text)
        if sum(0.5 if "\u3400" <= word <= "\u9fff" else 1 for word in said) > SHORT and field not in TITLES:
            self._long(field, re.sub(r"<[^>]{0,200}>", " ", text))
        elif not hostile(text) or (field in TITLES and not hostile(re.sub(r"[|\\]", "", text))):
            self._short(field, text)

    def _short(self, field: str, text: str) -> None:
        title = field in TITLES
        for name in variants(text) if title else [text]:
            self._name(field, name)
        for other in self.aliases.get(sequence(text), ()):
            self._name(field, other)
            self._evidence(field, tokens(plain(other)))
        every = tokens(text)
        read = [token for token in every if token.said]
        if title:
            self.spoken.update(token.text for token in read)
        elif 1 < len(read) <= 4 and all(token.kind == "word" for token in read):
            self.spoken.add(read[-1].text)  # a person is called by the last name
        no = {every[at].text for at in denied(every)}
        self.tags.update(stem(token.text) for token in read if token.text not in no)
        self._evidence(field, every)

    def _name(self, field: str, text: str) -> None:
        if said := sequence(text):
            self.fields.setdefault(said, set()).add(field)

    def _long(self, field: str, text: str) -> None:
        for sentence in _SENTENCE.split(text):
            if sentence and not commands(sentence):
                self._evidence(field, tokens(sentence))

    def _evidence(self, field: str, read: Sequence[Token]) -> None:
        no = set(denied(read))
        self.denied.update(stem(read[at].text) for at in no)
        told = [token for at, token in enumerate(read) if at not in no]
        self.words.update(stem(token.text) for token in told if token.kind == "word")
        self.pairs.update((stem(a.text), stem(b.text)) for a, b in pairwise(read) if a.said and b.said)
        self.chinese += re.findall("[\u3400-\u9fff]+", "".join(t.text if t.kind == "cjk" else " " for t in told))
        self.months.update(token.text for token in told if token.text in MONTHS)
        self._numbers(field, read)

    def _numbers(self, field: str, read: Sequence[Token]) -> None:
        at = 0
        while at < len(read):
            if (found := number_at(read, at)) is None:
                at += 1
                continue
            value, stop = found
            self.numbers.append(Number(value, unit_of(read, at, stop), field))
            self._year(value, field, within=len(read))
            at = stop

    def _year(self, value: float, field: str, within: int = 0) -> None:
        """A field that holds it alone dates an item before its title does, and that before a description."""
        if value.is_integer() and 1000 <= value <= 2200:
            rank = 0 if not within or DATED.search(field) else 1 if within <= SHORT or field in TITLES else 2
            self.years.setdefault(rank, set()).add(int(value))

    def happened(self, past: Past) -> None:
        self.actions.add(past.action.lower())
        names = [*(variants(past.title) if past.title else ()), *((past.words,) if past.words else ())]
        for name in names:
            if hostile(name):
                continue
            self._name("past", name)
            if past.value is not None:
                self.values[sequence(name)] = past.value
                self.numbers.append(Number(past.value, "star", "past"))

    def compiled(self) -> Facts:
        names: dict[str, list[tuple[str, ...]]] = {}
        for said in sorted(self.fields, key=lambda said: (-len(said), said)):
            names.setdefault(said[0], []).append(said)
        return Facts(
            names={first: tuple(many) for first, many in names.items()},
            fields={said: frozenset(many) for said, many in self.fields.items()},
            spoken=frozenset(self.spoken),
            words=frozenset(self.words),
            tags=frozenset(self.tags),
            denied=frozenset(self.denied - self.tags),
            pairs=frozenset(self.pairs),
            numbers=tuple(dict.fromkeys(self.numbers)),
            years=frozenset(self.years[min(self.years)] if self.years else ()),
            months=frozenset(self.months),
            chinese=tuple(dict.fromkeys(self.chinese)),
            actions=frozenset(self.actions),
            values=self.values,
            hidden=tuple(self.hidden),
        )


def variants(title: str) -> list[str]:
    """How a title is said: without its year and additions, its article in front, without its subtitle; of a product's
    long title any beginning."""
    text = plain(html.unescape(title)).strip()
    bare = re.sub(r"\s*[(\[][^)\]]*[)\]]", "", text).strip()
    turned = [f"{found[2]} {found[1]}" for one in (text, bare) if (found := _ARTICLE.fullmatch(one))]
    first = [re.split(cut, one)[0] for one in (text, bare, *turned) for cut in ("[:：]", " - ", ",", "[:：,]| - ")]
    also = [re.sub(r"(?i)^(the|an?) ", "", one) for one in (*turned, bare)]
    starts = [" ".join(said[:k]) for one in (text, bare) if len(said := one.split()) >= 5 for k in range(2, len(said))]
    every = (text, bare, *turned, *first, *also, *starts)
    return [one for one in dict.fromkeys(one.strip(" ,;:-") for one in every) if one]


def number_at(read: Sequence[Token], at: int) -> tuple[float, int] | None:
    """The number that begins at a token, in digits or words, and the place after it."""
    token = read[at]
    if token.kind == "number":
        return (float(token.text), at + 1) if re.fullmatch(r"\d+(\.\d+)?", token.text) else None
    if token.text in DIGITS_ZH:
        return _chinese(read, at)
    if token.text not in NUMBERS:
        return None
    value, stop = float(NUMBERS[token.text]), at + 1
    if value >= 20 and stop < len(read):
        after = stop + (read[stop].text == "-")
        if after < len(read) and 0 < NUMBERS.get(read[after].text, 0) < 10:
            value, stop = value + NUMBERS[read[after].text], after + 1
    while stop < len(read) and read[stop].text in MULTIPLES:
        value, stop = value * MULTIPLES[read[stop].text], stop + 1
    return value, stop


def _chinese(read: Sequence[Token], at: int) -> tuple[float, int]:
    stop, value = at, 0
    while stop < len(read) and (digit := DIGITS_ZH.get(read[stop].text)) is not None:
        value = value * 10 if digit == 10 and value else value + digit
        stop += 1
    return float(value), stop


def unit_of(read: Sequence[Token], at: int, stop: int) -> str:
    """What a number counts: the sign before it or the word behind it, by a name that all its spellings share."""
    if at and read[at - 1].text in UNITS and not read[at - 1].said:
        return UNITS[read[at - 1].text]
    if stop < len(read) and read[stop].text == "-":
        stop += 1
    if stop >= len(read) or read[stop].kind == "number":
        return ""
    word = stem(read[stop].text)
    return UNITS.get(word, word if read[stop].said else "")


def denied(read: Sequence[Token], reach: int = _REACH) -> Iterator[int]:
    """Places of tokens that a text denies: what follows a denial within its clause, and what "-free" follows."""
    negators = vocabulary("en").negators
    zh = vocabulary("zh").negators
    for at, token in enumerate(read):
        if token.text == "free" and at > 1 and read[at - 1].text == "-":
            yield at - 2
        said = longest(read, at, negators) or longest(read, at, zh)
        if said:
            yield from _reached(read, at + said, 1 if token.text == "non" else reach)


def _reached(read: Sequence[Token], at: int, reach: int) -> Iterator[int]:
    light = vocabulary("en").function
    left = float(reach)
    while at < len(read) and left > 0 and read[at].text not in _CLAUSE and read[at].text not in _STOPS:
        if read[at].said and stem(read[at].text) not in light:
            yield at
            left -= 1 if read[at].kind != "cjk" else 0.5
        at += 1


def longest(read: Sequence[Token], at: int, among: Mapping[str, tuple[tuple[str, ...], ...]]) -> int:
    """How many tokens from here make the longest of these phrases, marks between them counted too; 0: none."""
    for said in among.get(read[at].text, ()):
        place, left = at, list(said)
        while left and place < len(read) and (not read[place].said or read[place].text == left[0]):
            if read[place].said or read[place].text == left[0]:
                left.pop(0)
            elif len(left) == len(said):
                break
            place += 1
        if not left:
            return place - at
    return 0
