"""Text as the checker sees it: tokens with their places, and sentences.

Notable: folding (case, accents, quotes) keeps the length of a text, so a place in the folded text is the same place in
the text that was written, and what is left of a draft is cut out of it unchanged. A Chinese character is a token of its
own; words are found later, among what may be said.

Does not know: facts, vocabulary.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

CJK = "\u3400-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(
    rf"(?P<number>\d+(?:[.,]\d+)*|(?<![\d.])\.\d+)|(?P<word>[^\W\d_{CJK}]+(?:'[^\W\d_{CJK}]+)*)|(?P<cjk>[{CJK}])|(?P<mark>[^\w\s]|_)"
)
_QUOTES = str.maketrans("‘’‛´`′", "''''''")
_SIGNS = re.compile("[\u200b-\u200f\u202a-\u202e\u2060\ufeff]")  # not seen
_ENDS = ".!?。"
_SHORT = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "st",
        "jr",
        "sr",
        "vs",
        "vol",
        "no",
        "ed",
        "inc",
        "co",
        "ltd",
        "corp",
        "etc",
        "eg",
        "ie",
        "approx",
        "dept",
        "fig",
        "ave",
        "mt",
        "prof",
        "gen",
        "col",
    ]
)
_OPENERS = frozenset(':;"“”„«»(《「『—–•-!?.。')
_BASE = re.compile(r"(sses|ies|([sxz]|ch|sh)es|s)$")
_MARKED = re.compile(r"(?<=[a-z]{3})(ed|ing)$")


class Token(NamedTuple):
    """``text`` is folded; ``capital``: that it was written with one, not at the start of a sentence."""

    text: str
    start: int
    end: int
    kind: str  # number, word, cjk, mark
    capital: bool = False
    initial: bool = False

    @property
    def said(self) -> bool:
        return self.kind != "mark"


def plain(text: str) -> str:
    """Composed letters; signs that say nothing are left out."""
    return unicodedata.normalize("NFC", _SIGNS.sub("", text))


def folded(text: str) -> str:
    """Lower case, no accents, no full width; of the same length."""
    return "".join(_folded(letter) for letter in text.translate(_QUOTES))


def _folded(letter: str) -> str:
    if letter < "\x80" or "\u3400" <= letter <= "\u9fff":
        return letter.lower()
    full = "\uff00" <= letter <= "\uffef"
    return unicodedata.normalize("NFKD", letter)[0].lower()[0] if full or letter.isalpha() else letter


def tokens(text: str) -> list[Token]:
    """Of a text that is `plain`."""
    found: list[Token] = []
    initial = True
    for match in _TOKEN.finditer(folded(text)):
        kind, at = str(match.lastgroup), match.start()
        token = Token(_bare(match[0], kind), at, match.end(), kind, text[at].isupper(), initial)
        found.append(token)
        loose = match[0] != "-" or text[at - 1 : at].isspace()
        initial = kind == "mark" and loose and match[0] in _OPENERS
    return found


def _bare(text: str, kind: str) -> str:
    """Possessives and short forms of verbs say nothing; a short "not" does. Thousands have no commas."""
    if kind == "number":
        return re.sub(r",(?=\d{3}(?!\d))|^(?=\.)", lambda found: "" if found[0] else "0", text)
    if kind != "word" or "'" not in text:
        return text
    return re.sub(r"'(s|re|ve|ll|d|m)$", "", text).replace("'", "") or text


def sequence(text: str) -> tuple[str, ...]:
    """What is said, without marks: what names are compared by."""
    return tuple(token.text for token in tokens(plain(text)) if token.said)


def stem(word: str) -> str:
    """A word without its inflection and with American spelling; crude, but the same on both sides."""
    if len(word) < 4 or not word.isascii():
        return word
    word = _BASE.sub(lambda end: {"sses": "ss", "ies": "y", "s": ""}.get(end[0], end[2] or ""), _spelt(word))
    if len(word) > 4:
        word = _MARKED.sub("", word)
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
        word = word[:-1]
    return word.rstrip("e") if len(word) > 3 else word


def _spelt(word: str) -> str:
    if word.endswith(("ss", "us")):
        return word + "es" if word.endswith("ss") else word
    word = re.sub(r"(?<=[a-z]{3})our(?=s|ed|ing|ful|ite|$)", "or", word) if len(word) > 5 else word
    return re.sub(r"(?<=[a-z]{3})is(?=e[ds]?$|ing$|ation$)", "iz", word).replace("grey", "gray")


def sentences(read: Sequence[Token], text: str, within: Collection[int]) -> Iterator[tuple[int, int]]:
    """Places [from, to) of sentences among tokens; ``within``: tokens inside names, where no sentence ends."""
    start = 0
    for at in range(len(read)):
        if at not in within and _ends(read, at, text):
            stop = at + 1
            while stop < len(read) and read[stop].text in "\"”’»」』)）'":
                stop += 1
            if stop > start:
                yield start, stop
            start = max(start, stop)
    if start < len(read):
        yield start, len(read)


def _ends(read: Sequence[Token], at: int, text: str) -> bool:
    token = read[at]
    after = text[token.end : token.end + 1]
    if "\n" in text[token.end : read[at + 1].start if at + 1 < len(read) else len(text)]:
        return True
    if token.text not in _ENDS or (after and not after.isspace() and after not in "\"”’)'"):
        return text[token.start] in "。！？"
    if token.text != ".":  # "Airplane! is ...": a name's own mark ends nothing
        following = next((one for one in read[at + 1 :] if one.said), None)
        return text[token.start] in "。！？" or following is None or not text[following.start].islower()
    before = read[at - 1].text if at else ""
    inside = next((one.text for one in read[at + 1 :] if one.text not in "\"”’)'"), "") in (",", ";", ":")
    return not inside and before not in _SHORT and len(before) != 1
