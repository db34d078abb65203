"""The reviewed words: what may stand in a text without being a claim, and what makes a claim of its own.

Notable: they are kept in `penchant/data/words-en.txt` and `words-zh.txt`, to be read and argued about, and are matched
without inflection. Everything that is neither here nor a fact is an unsupported claim (`checking`).

Does not know: any item.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

from penchant.pipeline.grounding.reading import sequence, stem

Language = Literal["en", "zh"]
Phrases = Mapping[str, tuple[tuple[str, ...], ...]]  # by their first token, the longest first


class Vocabulary(NamedTuple):
    """``function`` words bind a sentence, ``connecting`` ones are about choosing and showing; both are stems."""

    function: frozenset[str]
    connecting: frozenset[str]
    phrases: Phrases
    negators: Phrases
    superlatives: Phrases


NUMBERS = {
    word: value
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
} | {
    word: 10 * tens
    for tens, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2)
}
MULTIPLES = {"dozen": 12, "hundred": 100, "thousand": 1000, "million": 1_000_000}
DIGITS_ZH = {sign: value for value, sign in enumerate("零一二三四五六七八九十")} | {"两": 2}
MONTHS = frozenset(
    [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ]
)  # "may" is a month beside a number only
SAME_UNIT = (
    ("oz", "ounce", "盎"), ("lb", "lbs", "pound", "磅"), ("ct", "count", "pc", "pcs", "piece", "pk", "pack", "个"),
    ("inch", "in", '"', "″", "英"), ("foot", "feet", "ft"), ("mm", "millimeter", "毫"), ("cm", "centimeter", "厘"),
    ("ml", "milliliter"), ("liter", "l", "升"), ("gram", "g", "克"), ("kg", "kilogram"), ("gallon", "gal"),
    ("minute", "min", "分"), ("hour", "hr", "h", "小"), ("percent", "%"), ("star", "stars", "星"),
    ("$", "usd", "dollar", "dollars", "美"), ("€", "eur", "euro"), ("£", "gbp"), ("¥", "元", "块", "cny", "yuan"),
    ("quart", "qt"), ("pint", "pt"), ("yard", "yd"),
)  # fmt: skip
UNITS = {stem(name): same[0] for same in SAME_UNIT for name in same}
MONEY = frozenset(["$", "€", "£", "¥"])
# What stands near a name says which field it has to come from.
ROLES = {
    "direct": "director", "director": "director", "导演": "director", "执导": "director", "filmmak": "director",
    "star": "actor", "cast": "actor", "actor": "actor", "actress": "actor",
    "主演": "actor", "演员": "actor", "领衔": "actor",
    "manufactur": "brand", "brand": "brand", "author": "author", "novelist": "author", "作者": "author",
    "singer": "artist", "artist": "artist",
}  # fmt: skip
ROLE_FIELDS = {
    "director": ("director", "directed", "导演"), "actor": ("actor", "cast", "star", "starring", "主演", "演员"),
    "brand": ("brand", "manufacturer", "maker", "品牌"), "author": ("author", "writer", "作者"),
    "artist": ("artist", "singer", "band", "歌手"),
}  # fmt: skip
# What "you ..." says somebody did: any of the actions behind it has to have happened.
ACTIONS = {
    "watch": "watch", "watched": "watch", "saw": "watch", "seen": "watch", "看过": "watch", "看了": "watch",
    "bought": "buy", "purchased": "buy", "ordered": "buy", "purchase": "buy", "order": "buy", "买过": "buy",
    "购买": "buy", "rated": "rate", "gave": "rate", "rating": "rate", "打分": "rate", "searched": "search",
    "search": "search", "搜索": "search", "搜过": "search", "read": "read", "played": "play", "heard": "listen",
    "loved": "like", "liked": "like", "enjoyed": "like", "clicked": "click",
}  # fmt: skip
SAME_ACTION = {
    "watch": ("watch", "view", "play", "stream", "rate", "see", "complete", "click"),
    "buy": ("buy", "purchase", "order", "checkout"),
    "rate": ("rate", "rating", "review"),
    "search": ("search", "query"),
    "read": ("read", "view", "open", "click", "finish"),
    "play": ("play", "watch", "listen", "complete"),
    "listen": ("listen", "play"),
    "like": ("like", "love", "favorite", "favourite", "save", "rate", "rating"),
    "click": ("click", "view", "open"),
}


@cache
def vocabulary(language: Language) -> Vocabulary:
    text = (files("penchant") / "data" / f"words-{language}.txt").read_text(encoding="utf-8")
    sections: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            section += _entries(line, list(sections)[-1])
    if language == "zh":
        said = sections["function"] + sections["connecting"] + sections["phrases"]
        return Vocabulary(frozenset(), frozenset(), phrases(said), phrases(sections["negators"]),
                          phrases(sections["superlatives"]))  # fmt: skip
    return Vocabulary(
        frozenset(map(stem, _words(sections["function"]))),
        frozenset(map(stem, sections["connecting"])),
        phrases(sections["phrases"]),
        phrases(sections["negators"] + sections["negating phrases"]),
        phrases(sections["superlatives"]),
    )


def _entries(line: str, section: str) -> list[str]:
    return [line] if section in ("phrases", "negating phrases") else line.split()


def _words(entries: Iterable[str]) -> list[str]:
    return [word for entry in entries for word in sequence(entry)]


def phrases(entries: Iterable[str]) -> Phrases:
    return grouped(sequence(entry) for entry in entries)


def grouped(entries: Iterable[tuple[str, ...]]) -> Phrases:
    found: dict[str, set[tuple[str, ...]]] = {}
    for said in entries:
        if said:
            found.setdefault(said[0], set()).add(said)
    return {first: tuple(sorted(many, key=lambda said: (-len(said), said))) for first, many in found.items()}
