"""A draft against facts: every sentence is read as claims; what is not supported is cut, why is counted.

Notable: the world is closed. A word is a function word, a reviewed connecting word, or told by the facts; any other is
an unsupported claim, so that a changed attribute is caught without knowing its opposite. A sentence goes as a whole,
and with it the next one where that would be left hanging ("But ..."). What remains is the draft's own text, unchanged.

Does not know: who wrote the draft, whether a claim is true of the world, or what relation a sentence states between two
things that are both told, beyond the roles and numbers in `relations`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from penchant.pipeline.grounding.facts import Facts, denied, longest
from penchant.pipeline.grounding.quantities import counted
from penchant.pipeline.grounding.reading import Token, plain, sentences, sequence, stem, tokens
from penchant.pipeline.grounding.relations import misattributed
from penchant.pipeline.grounding.untrusted import hostile
from penchant.pipeline.grounding.vocabulary import Language, Phrases, grouped, vocabulary

_HANGING = re.compile(r"(but|however|yet|also|so|therefore|thus|hence|moreover|instead|and|or|both|that is why|"
                      r"但是?|不过|然而|所以|因此|而且|并且|同时|此外)\b", re.IGNORECASE)  # fmt: skip
_QUOTED = re.compile(r"[\"“”«»„《》「」『』]")
_DETERMINERS = frozenset(["the", "a", "an", "its", "their", "his", "her", "our", "your", "my", "s"])
_PAIRS = {"《": "》", "「": "」", "『": "』", "“": "”", "«": "»", '"': '"', "„": "“"}


class Rules(Struct, frozen=True, kw_only=True):
    """What a tenant asks of every text. ``blocked``: words and phrases that refuse a draft, by the topic they stand
    for; ``longest``: characters; ``labels``: values of tags anywhere in the catalogue, which only an item's own tags
    can state, whatever its description mentions."""

    language: Language = "en"
    longest: int = 600
    blocked: Mapping[str, Sequence[str]] = {}
    labels: frozenset[str] = frozenset()


class Claim(NamedTuple):
    """``words`` as they stand in the draft. ``kind``: name, number, date, attribute, negation, superlative, role,
    action, link or hidden; ``held``: that the facts support it."""

    words: str
    kind: str
    held: bool


class Checked(NamedTuple):
    """``text``: what of the draft may be shown, "" where it was refused; ``cut``: sentences that were taken out, by the
    kinds of claim that were not supported; ``refused``: "" or why nothing may be shown."""

    text: str
    claims: list[Claim]
    cut: Counter[str]
    refused: str = ""


def check(draft: str, facts: Facts, rules: Rules = Rules()) -> Checked:  # noqa: B008 (a frozen struct)
    """The part of a draft that facts support, in the draft's own words."""
    text = plain(draft).strip()
    read = tokens(text)
    spans = {at: stop for at, stop, _ in _named(read, facts)}
    within = {place for at, stop in spans.items() for place in range(at, stop)}
    if topic := _blocked(read, rules.blocked):
        return Checked("", [], Counter(), f"blocked: {topic}")
    if _foreign(read, within, rules.language):
        return Checked("", [], Counter(), "language")
    kept: list[str] = []
    claims: list[Claim] = []
    cut: Counter[str] = Counter()
    lost = False
    for start, stop in sentences(read, text, within):
        said = text[read[start].start : read[stop - 1].end]
        found = list(_claims(read[start:stop], said, read[start].start, facts, rules))
        claims += found
        wrong = {claim.kind for claim in found if not claim.held}
        if not wrong and lost and _HANGING.match(said):
            wrong = {"hanging"}
        if not wrong and said in kept:
            wrong = {"repeated"}
        lost = bool(wrong)
        cut.update(wrong)
        if not wrong:
            kept.append(said)
    return _remaining(kept, claims, cut, rules)


def _remaining(kept: Sequence[str], claims: list[Claim], cut: Counter[str], rules: Rules) -> Checked:
    text = ("" if rules.language == "zh" else " ").join(kept)
    if not re.search(r"[^\W_]", text):
        return Checked("", claims, cut, "nothing left")
    if len(text) > rules.longest:
        return Checked("", claims, cut, "too long")
    return Checked(text, claims, cut)


def _blocked(read: Sequence[Token], blocked: Mapping[str, Sequence[str]]) -> str:
    stems = [token._replace(text=stem(token.text)) for token in read]
    for topic, words in blocked.items():
        phrases = grouped(tuple(map(stem, sequence(word))) for word in words)
        if any(longest(stems, at, phrases) for at in range(len(stems))):
            return topic
    return ""


def _foreign(read: Sequence[Token], within: Iterable[int], language: Language) -> bool:
    """That what is not a name is mostly in the other script."""
    named = set(within)
    said = [token for at, token in enumerate(read) if at not in named and token.kind in ("word", "cjk")]
    chinese = sum(token.kind == "cjk" for token in said)
    latin = len(said) - chinese
    return bool(said) and (chinese > latin if language == "en" else 2 * latin > max(1, chinese))


def _named(read: Sequence[Token], facts: Facts) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Names of the facts in a draft, the longest first from the left: from, to, which."""
    at = 0
    while at < len(read):
        if count := longest(read, at, facts.names):
            yield at, at + count, tuple(token.text for token in read[at : at + count] if token.said)
            at += count
        else:
            at += 1


def _claims(read: Sequence[Token], said: str, offset: int, facts: Facts, rules: Rules) -> Iterator[Claim]:
    if hostile(said):
        yield Claim(said, "link", False)
    if any(longest(read, at, grouped(facts.hidden)) for at in range(len(read))):
        yield Claim(said, "hidden", False)
    sentence = _Sentence(read, said, offset, facts, rules)
    yield from sentence.claims()
    yield from (Claim(words, kind, False) for words, kind in misattributed(read, sentence.names, facts))


class _Sentence:
    """One sentence as it is read: which tokens are names, numbers, denied, and what is left to be told."""

    def __init__(self, read: Sequence[Token], said: str, offset: int, facts: Facts, rules: Rules) -> None:
        self.read, self.said, self.offset, self.facts, self.rules = read, said, offset, facts, rules
        self.vocabulary = vocabulary(rules.language)
        self.names = list(_named(read, facts))
        self.idle = set(_covered(read, self.vocabulary.phrases))
        self.loud = _title_case(read)

    def claims(self) -> Iterator[Claim]:
        done: set[int] = set()
        numbers = list(counted(self.read, self.facts, {at for a, b, _ in self.names for at in range(a, b)}))
        for number in numbers:
            yield Claim(self._words(number.start, number.stop), number.kind, number.held)
            done.update(range(number.start, number.stop))
        yield from self._denials(done)
        for start, stop, _ in self.names:
            if self._is_name(start, stop):
                yield Claim(self._words(start, stop), "name", True)
                done.update(range(start, stop))
        yield from self._quotes()
        yield from self._superlatives(done)
        yield from self._chinese(done) if self.rules.language == "zh" else ()
        for at, token in enumerate(self.read):
            if token.said and token.kind != "cjk" and at not in done and (claim := self._word(at, token)):
                yield claim
            elif token.kind == "cjk" and self.rules.language == "en" and at not in done:
                yield Claim(token.text, "attribute", False)

    def _words(self, start: int, stop: int) -> str:
        return self.said[self.read[start].start - self.offset : self.read[stop - 1].end - self.offset]

    def _is_name(self, start: int, stop: int) -> bool:
        """A name of function words alone ("It", "You") is one only where it is written as one."""
        said = [token for token in self.read[start:stop] if token.said]
        light = all(stem(token.text) in self.vocabulary.function for token in said)
        return not light or any(token.capital for token in self.read[start:stop])

    def _word(self, at: int, token: Token) -> Claim | None:
        if at in self.idle:
            return None
        word, facts = stem(token.text), self.facts
        written = token.capital and not token.initial and not self.loud and len(token.text) > 1
        if token.text in facts.spoken:
            return Claim(token.text, "attribute", True)
        if written:
            return Claim(self._words(at, at + 1), "name", False)
        if word in self.vocabulary.function:
            return None
        if self.rules.labels and token.text in self.rules.labels:
            return Claim(token.text, "attribute", word in facts.tags)
        if word in facts.words:
            return Claim(token.text, "attribute", True)
        if word in self.vocabulary.connecting:
            return None
        return Claim(token.text, "negation" if word in facts.denied else "attribute", False)

    def _denials(self, done: set[int]) -> Iterator[Claim]:
        """What the sentence denies has to be denied by the facts; a denial of nothing is of something unknown."""
        for at in range(len(self.read)):
            inside = any(start <= at < stop for start, stop, _ in self.names if self._is_name(start, stop))
            if not inside and at > 1 and self.read[at].text == "free" and self.read[at - 1].text == "-":
                yield Claim(self._words(at - 2, at + 1), "negation", self._is_denied(at - 2))
                done.update((at - 2, at))
            count = 0 if at in self.idle else longest(self.read, at, self.vocabulary.negators)
            if not count or inside or at in done:
                continue
            places = [p for p in denied(self.read[at:], 12) if p >= count]
            places = [at + p for p in places]
            places = [p for p in places if self._tells(p)] or [p for p in places if self._is_denied(p)]
            held = bool(places) and all(self._is_denied(p) for p in places)
            stop = max(places, default=at + count - 1) + 1
            yield Claim(self._words(at, stop), "negation", held)
            done.update(range(at, at + count))
            done.update(places if held else ())

    def _tells(self, at: int) -> bool:
        return self.read[at].kind == "cjk" or stem(self.read[at].text) not in self.vocabulary.connecting

    def _is_denied(self, at: int) -> bool:
        word = self.read[at].text
        return stem(word) in self.facts.denied

    def _quotes(self) -> Iterator[Claim]:
        """What stands in quotation marks has to be a name, from its first token to its last."""
        whole = {(start, stop) for start, stop, _ in self.names}
        at = 0
        while at < len(self.read):
            closing = _PAIRS.get(self.read[at].text)
            end = next((k for k in range(at + 1, len(self.read)) if self.read[k].text == closing), 0) if closing else 0
            if end and not _inch(self.read, at):
                inner = [k for k in range(at + 1, end) if self.read[k].said]
                if inner and (inner[0], inner[-1] + 1) not in whole and not self._one_name(inner, whole):
                    yield Claim(self._words(at, end + 1), "name", False)
                at = end
            at += 1

    def _one_name(self, inner: Sequence[int], whole: Iterable[tuple[int, int]]) -> bool:
        return any(start <= inner[0] and inner[-1] < stop for start, stop in whole)

    def _superlatives(self, done: set[int]) -> Iterator[Claim]:
        for at, token in enumerate(self.read):
            count = longest(self.read, at, self.vocabulary.superlatives)
            if not count or at in done or at in self.idle:
                continue
            if token.text == "first" and not _determined(self.read, at):
                done.add(at)  # "first shown in 1995"
                continue
            after = next((t for t in self.read[at + count :] if t.said), None)
            held = after is not None and (stem(token.text), stem(after.text)) in self.facts.pairs
            yield Claim(self._words(at, at + count), "superlative", held)
            done.update(range(at, at + count))

    def _chinese(self, done: set[int]) -> Iterator[Claim]:
        """Runs of Chinese characters have to be cut into words that may be said or are told; what cannot is a claim."""
        at = 0
        while at < len(self.read):
            stop = at
            while stop < len(self.read) and self.read[stop].kind == "cjk" and stop not in done:
                stop += 1
            if stop > at:
                run = "".join(token.text for token in self.read[at:stop])
                yield from (Claim(words, "attribute", held) for words, held in self._cut(run))
            at = max(stop, at + 1)

    def _cut(self, run: str) -> Iterator[tuple[str, bool]]:
        """The cut with the fewest characters that nobody told; of those, the one with the fewest words."""
        best: list[tuple[int, int, int, bool]] = [(0, 0, 0, True)]  # untold, words, from, told by facts
        for end in range(1, len(run) + 1):
            ways = [(best[end - 1][0] + 1, best[end - 1][1] + 1, end - 1, False)]
            for start in range(max(0, end - 8), end):
                if kind := self._sayable(run[start:end]):
                    ways.append((best[start][0], best[start][1] + 1, start, kind == "told"))
            best.append(min(ways))
        end = len(run)
        while end:
            untold, _, start, told = best[end]
            if told or untold > best[start][0]:
                yield run[start:end], told
            end = start

    def _sayable(self, word: str) -> str:
        parts = tuple(word)
        if len(word) > 1 and any(word in clause for clause in self.facts.chinese):
            return "told"
        return "said" if parts in self.vocabulary.phrases.get(word[0], ()) else ""


def _covered(read: Sequence[Token], phrases: Phrases) -> Iterator[int]:
    """Places inside idioms: English phrases, and Chinese words of two characters or more."""
    for at in range(len(read)):
        count = longest(read, at, phrases)
        if read[at].kind != "cjk" or count > 1:
            yield from range(at, at + count)


def _determined(read: Sequence[Token], at: int) -> bool:
    return at == 0 or read[at - 1].text in _DETERMINERS


def _inch(read: Sequence[Token], at: int) -> bool:
    return at > 0 and read[at].text == '"' and read[at - 1].kind == "number" and read[at - 1].end == read[at].start


def _title_case(read: Sequence[Token]) -> bool:
    """That nearly every longer word has a capital: then a capital marks no name."""
    long = [token for token in read if token.kind == "word" and len(token.text) > 3 and not token.initial]
    return len(long) > 2 and sum(token.capital for token in long) > 0.8 * len(long)
