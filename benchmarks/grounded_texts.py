"""Texts that are true of an item and a person, and the same with one fact changed, for `benchmarks.grounding`.

Facts come from real catalogues and real histories; how they are said comes from `sentences/*.txt`. Nothing of the
checker is used here, neither code nor word list. Chinese texts are of the same films and groceries, whose genres and
departments the tables below put into Chinese, as a shop's own catalogue would have them; names stay as they are.
"""

from __future__ import annotations

import ast
import csv
import html
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

SENTENCES = Path(__file__).parent / "sentences"
KINDS = ("name", "number", "date", "attribute", "negation")
IN_TURN = {
    "film": (*KINDS, "date"),
    "office": KINDS[:2] + KINDS[3:],
    "grocery": KINDS[:2] + KINDS[3:],
}  # only films have dates
SHARES = {"en film": 0.36, "en office": 0.26, "en grocery": 0.12, "zh film": 0.16, "zh grocery": 0.1}
KIND_OF = {
    "title": "name", "short": "name", "seen": "name", "seen2": "name", "scored": "name", "bought": "name",
    "director": "name", "actor": "name", "actor2": "name", "brand": "name", "words": "name", "year": "date",
    "decade": "date", "stars": "number", "count": "number", "size": "number", "price": "number", "genre": "attribute",
    "genre2": "attribute", "shared": "attribute", "sharedscored": "attribute", "plot": "attribute",
    "plot2": "attribute", "attr": "attribute", "attr2": "attribute", "department": "attribute",
    "category": "attribute", "rated": "attribute", "negated": "negated",
}  # fmt: skip
ZH = {
    "Action": "动作", "Adventure": "冒险", "Animation": "动画", "Children's": "儿童", "Comedy": "喜剧", "Crime": "犯罪",
    "Documentary": "纪录", "Drama": "剧情", "Fantasy": "奇幻", "Film-Noir": "黑色电影", "Horror": "恐怖",
    "Musical": "歌舞", "Mystery": "悬疑", "Romance": "爱情", "Sci-Fi": "科幻", "Thriller": "惊悚", "War": "战争",
    "Western": "西部",
}  # fmt: skip
ZH_SHOP = {
    "GROCERY": "杂货", "DRUG GM": "日用品", "PRODUCE": "果蔬", "MEAT": "鲜肉", "DELI": "熟食", "PASTRY": "糕点",
    "SOFT DRINKS": "汽水", "FLUID MILK PRODUCTS": "鲜奶", "CHEESE": "奶酪", "BAKED BREAD/BUNS/ROLLS": "面包",
    "BAG SNACKS": "袋装零食", "BEEF": "牛肉", "FROZEN PIZZA": "冷冻披萨", "YOGURT": "酸奶", "EGGS": "鸡蛋",
    "ICE CREAM/MILK/SHERBTS": "冰淇淋", "COLD CEREAL": "麦片", "SOUP": "汤", "CANDY - PACKAGED": "糖果",
    "COFFEE": "咖啡", "TOMATOES": "番茄", "BANANAS": "香蕉", "CRACKERS/MISC BKD FD": "饼干", "CHICKEN": "鸡肉",
}  # fmt: skip
ADJECTIVES = [
    "black",
    "white",
    "blue",
    "red",
    "green",
    "yellow",
    "pink",
    "purple",
    "orange",
    "clear",
    "silver",
    "gold",
    "brown",
    "durable",
    "magnetic",
    "recycled",
    "compact",
    "adjustable",
    "permanent",
    "assorted",
    "erasable",
    "portable",
    "electric",
    "wireless",
    "refillable",
    "retractable",
    "waterproof",
    "transparent",
    "removable",
    "reusable",
    "colorful",
    "lightweight",
    "ergonomic",
    "washable",
    "fluorescent",
    "acid-free",
    "wooden",
    "metal",
    "leather",
    "plastic",
]
DIGITS_ZH = "零一二三四五六七八九十"
NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
UNITS = {"OZ": ("oz", "ounce", "ounces"), "LB": ("lb", "pound", "pounds"), "CT": ("ct", "count", "count")}
UNITS_ZH = {"OZ": "盎司", "LB": "磅", "CT": "个"}


class Case(NamedTuple):
    """One item and one person: what a checker is told of them, and what fills the slots of sentences."""

    fields: dict[str, Any]
    events: list[dict[str, Any]]
    slots: dict[str, str]
    told: str  # all text of item and person, lower case: what is not in it is not true


class Text(NamedTuple):
    """``kind``: which fact was changed, in the sentence ``wrong``; "" in a true text."""

    world: str
    case: Case
    draft: str
    kind: str = ""
    wrong: str = ""

    @property
    def language(self) -> str:
        return self.world[:2]


def texts(data: Path, sentences: str, many: int, seed: int = 0) -> Iterator[Text]:
    """``many`` true texts, and as many with one fact changed, the kinds of change in turn."""
    chance = random.Random(seed)
    patterns = _patterns(SENTENCES / f"{sentences}.txt")
    makers = _worlds(data, chance)
    for world, share in SHARES.items():
        kinds = IN_TURN[world.split()[1]]
        for number in range(round(share * many)):
            yield _true(world, makers[world], patterns[world], chance)
            yield _changed(world, makers[world], patterns[world], kinds[number % len(kinds)], chance)


def _patterns(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            world, _, pattern = line.partition(": ")
            found[world].append(pattern)
    return found


# -- saying ------------------------------------------------------------------------------------------------------------


def _true(world: str, make: Callable[[], Case], patterns: Sequence[str], chance: random.Random) -> Text:
    while True:
        case = make()
        if chosen := _chosen(case, patterns, chance):
            return Text(world, case, _joined(world, [_said(one, case.slots, 0) for one in chosen]))


def _changed(world: str, make: Callable[[], Case], patterns: Sequence[str], kind: str, chance: random.Random) -> Text:
    while True:
        case, other = make(), make()
        chosen = _chosen(case, patterns, chance)
        for place in chance.sample(range(len(chosen)), len(chosen)):
            if wrong := _spoilt(chosen[place], case, other, kind, chance):
                said = [_said(one, case.slots, 0) for one in chosen]
                said[place] = wrong
                return Text(world, case, _joined(world, said), kind, wrong)


def _chosen(case: Case, patterns: Sequence[str], chance: random.Random) -> list[str]:
    fit = [one for one in patterns if all(slot in case.slots for slot in _slots(one))]
    return chance.sample(fit, min(len(fit), chance.randint(1, 3)))


def _spoilt(pattern: str, case: Case, other: Case, kind: str, chance: random.Random) -> str:
    """The sentence with one fact of the kind changed into another item's; "" where it has none, or that is true too."""
    if kind == "negation":
        return _said(pattern, case.slots, 1) if "<" in pattern else ""
    slots = [slot for slot in _slots(pattern) if KIND_OF[slot] == kind and slot in other.slots]
    if not slots:
        return ""
    slot = chance.choice(slots)
    value = other.slots[slot]
    if any(re.search(rf"(?<![\w.]){re.escape(word)}(?![a-z0-9])", case.told) for word in _telling(value)):
        return ""
    if slot == "decade" and other.slots["year"][:3] == case.slots["year"][:3]:
        return ""
    return _said(pattern, case.slots | {slot: value}, 0)


def _telling(value: str) -> list[str]:
    """What of a value must not be told of the item or the person, or the changed text could be true."""
    first = value.lower().split()[0]
    if first in NUMBERS or first in DIGITS_ZH or re.match(r"\$?\d", first):
        return [str(NUMBERS.index(first)) if first in NUMBERS else str(DIGITS_ZH.find(first))
                if first in DIGITS_ZH else re.findall(r"[\d.]+", first)[0]]  # fmt: skip
    return [word for word in re.findall(r"[^\W\d_]{4,}", value.lower()) if word != "with"] or [value.lower()]


def _slots(pattern: str) -> list[str]:
    return re.findall(r"{(\w+)}", pattern)


def _said(pattern: str, slots: Mapping[str, str], side: int) -> str:
    text = re.sub(r"<([^|>]*)\|([^>]*)>", lambda found: found[side + 1], pattern)
    text = re.sub(r"{(\w+)}", lambda found: slots[found[1]], text)
    text = re.sub(r"\b([Aa]) (?=[aeiou8])", r"\1n ", text).replace("  ", " ")
    return text[0].upper() + text[1:]


def _joined(world: str, said: Sequence[str]) -> str:
    return ("" if world.startswith("zh") else " ").join(said)


# -- facts -------------------------------------------------------------------------------------------------------------


def _worlds(data: Path, chance: random.Random) -> dict[str, Callable[[], Case]]:
    films, office, shop = _films(data / "ml-1m", chance), _office(data, chance), _shop(data, chance)
    return {
        "en film": lambda: films(False),
        "en office": office,
        "en grocery": lambda: shop(False),
        "zh film": lambda: films(True),
        "zh grocery": lambda: shop(True),
    }


def _films(data: Path, chance: random.Random) -> Callable[[bool], Case]:
    items = dict(_film_fields(data))
    rated: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for line in (data / "ratings.dat").read_text(encoding="latin-1").splitlines():
        user, film, stars, _ = line.split("::")
        if film in items:
            rated[user].append((film, int(stars)))
    people = sorted(user for user, rows in rated.items() if len(rows) >= 20)
    rare = Counter(word for one in items.values() for word in set(_plain_words(one["plot"])))

    def make(chinese: bool) -> Case:
        (film, _), *others = chance.sample(rated[chance.choice(people)], 20)
        item = items[film]
        alike = [one for one in others if set(items[one[0]]["genres"]) & set(item["genres"])]
        if len(alike) < 3:
            return make(chinese)
        return _film_case(item, [(items[one], stars) for one, stars in alike[:3]], rare, chinese, chance)

    return make


def _film_fields(data: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with open(data / "plots.csv", encoding="utf-8", newline="") as file:
        plots = {row["movie_id"]: row for row in csv.DictReader(file)}
    for line in (data / "movies.dat").read_text(encoding="latin-1").splitlines():
        film, title, genres = line.split("::")
        if (more := plots.get(film)) and more["director"] and more["actors"].count(",") and more["plot"]:
            yield (
                film,
                {
                    "title": title,
                    "year": int(title[-5:-1]),
                    "genres": genres.split("|"),
                    "director": more["director"].split(",")[0],
                    "actors": more["actors"].split(", "),
                    "rated": more["rated"],
                    "plot": more["plot"],
                },
            )


def _film_case(
    item: dict[str, Any], seen: list[tuple[Any, int]], rare: Counter[str], chinese: bool, chance: random.Random
) -> Case:
    (first, _), (second, _), (third, stars) = seen
    genre = (lambda name: ZH[name]) if chinese else (lambda name: name.lower().replace("film-noir", "film noir"))
    words = " ".join(chance.sample(item["actors"], 1)) if chance.random() < 0.5 else _short_title(item["title"])
    genres, actors = chance.sample(item["genres"], len(item["genres"])), chance.sample(item["actors"], 2)
    plots = [word for word in dict.fromkeys(_plain_words(item["plot"])) if rare[word] <= 60]
    slots = {
        "title": _short_title(item["title"]), "seen": _short_title(first["title"]),
        "seen2": _short_title(second["title"]), "scored": _short_title(third["title"]), "words": words,
        "director": item["director"], "actor": actors[0], "actor2": actors[1], "year": str(item["year"]),
        "decade": _decade(item["year"], chinese, chance), "stars": _number(stars, chinese, chance),
        "genre": genre(genres[0]),
        "shared": genre(next(one for one in genres if one in first["genres"])),
        "sharedscored": genre(next(one for one in genres if one in third["genres"])),
    }  # fmt: skip
    slots |= {"genre2": genre(genres[1])} if len(genres) > 1 else {}
    slots |= {"rated": item["rated"]} if item["rated"] in ("G", "PG", "PG-13", "R") else {}
    slots |= dict(zip(("plot", "plot2"), chance.sample(plots, min(2, len(plots))), strict=False))
    fields = item | {"genres": [ZH[name] for name in item["genres"]]} if chinese else item
    events = [
        {"title": first["title"], "action": "watch"},
        {"title": second["title"], "action": "watch"},
        {"title": third["title"], "action": "rate", "value": float(stars)},
        {"words": words, "action": "search"},
    ]
    return Case(fields, events, slots, _told(fields, events))


def _office(data: Path, chance: random.Random) -> Callable[[], Case]:
    folder = data / "amazon-office"
    read = json.loads((folder / "Office_Products.item.json").read_text(encoding="utf-8"))
    items = [fields for fields in map(_office_fields, read.values()) if fields["brand"]]
    with open(folder / "Office_Products_valid.csv", encoding="utf-8", newline="") as file:
        histories = [ast.literal_eval(row["history_item_title"]) for row in csv.DictReader(file)]

    def make() -> Case:
        item, bought = chance.choice(items), html.unescape(chance.choice(chance.choice(histories)))
        both = item["title"] + " " + item["description"]
        words = " ".join(item["title"].split()[:2]).strip(",").lower()
        slots = {
            "title": item["title"], "short": _beginning(item["title"]), "brand": item["brand"],
            "bought": _beginning(bought), "words": words,
        }  # fmt: skip
        if found := re.search(r"(?<![\w./-])(\d{1,4})[ -]([A-Z][a-z]{3,})", item["title"]):
            slots["count"] = f"{_number(int(found[1]), False, chance)} {found[2].lower()}"
        said = [word for word in ADJECTIVES if _states(both, word)]
        slots |= dict(zip(("attr", "attr2"), chance.sample(said, min(2, len(said))), strict=False))
        if (found := re.search(r"\b(?:no|without) (?!longer)([a-z]{5,})\b", both)) and both.lower().count(
            found[1]
        ) == 1:
            slots["negated"] = found[1]
        events = [{"title": bought, "action": "buy"}, {"words": words, "action": "search"}]
        return Case(item, events, slots, _told(item, events))

    return make


def _beginning(title: str) -> str:
    return re.sub(r"\s*[(\[][^)\]]*$", "", title.split(",")[0]).strip()


def _office_fields(read: Mapping[str, str]) -> dict[str, Any]:
    try:
        description = " ".join(ast.literal_eval(read["description"]))
    except (SyntaxError, ValueError):
        description = read["description"]
    said = {"title": read["title"], "brand": read["brand"], "description": re.sub(r"<[^>]*>", " ", description)}
    return {name: html.unescape(text) for name, text in said.items()}


def _states(text: str, word: str) -> bool:
    return bool(re.search(rf"(?<!no )(?<!not )(?<!without )(?<!non-)\b{word}\b", text.lower()))


def _shop(data: Path, chance: random.Random) -> Callable[[bool], Case]:
    folder = data / "complete-journey"
    with open(folder / "products.csv", encoding="utf-8", newline="") as file:
        products = {row["product_id"]: row for row in csv.DictReader(file)}
    baskets: dict[str, list[tuple[dict[str, str], float]]] = defaultdict(list)
    with open(folder / "transactions_sample.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            price = round(float(row["sales_value"]) / max(1.0, float(row["quantity"])), 2)
            product = products.get(row["product_id"])
            if product and price and re.fullmatch(r"[\d.]+ (OZ|LB|CT)", product["package_size"]):
                baskets[row["household_id"]].append((product, price))
    people = sorted(person for person, rows in baskets.items() if len(rows) > 5)

    def make(chinese: bool) -> Case:
        rows = [one for one in baskets[chance.choice(people)] if not chinese or one[0]["product_category"] in ZH_SHOP]
        rows = [one for one in rows if not chinese or one[0]["department"] in ZH_SHOP]
        if len(rows) < 2:
            return make(chinese)
        (item, price), (before, _) = chance.sample(rows, 2)
        return _shop_case(item, price, before, chinese, chance)

    return make


def _shop_case(
    item: Mapping[str, str], price: float, before: Mapping[str, str], chinese: bool, chance: random.Random
) -> Case:
    number, unit = item["package_size"].split()
    department, category, title, bought = (
        (ZH_SHOP[item["department"]], ZH_SHOP[item["product_category"]], ZH_SHOP[item["product_category"]],
         ZH_SHOP[before["product_category"]])
        if chinese
        else (item["department"].lower(), item["product_category"].lower(), item["product_type"],
              before["product_type"])
    )  # fmt: skip
    number = f"0{number}" if number.startswith(".") else number
    slots = {
        "title": title if chinese else title.capitalize(), "bought": bought if chinese else bought.lower(),
        "department": department, "category": category, "words": title.lower(),
        "price": f"{price:.2f}" if chinese else f"${price:.2f}",
        "size": f"{number}{UNITS_ZH[unit]}" if chinese else f"{number} {chance.choice(UNITS[unit])}",
    }  # fmt: skip
    fields = {"title": title, "department": department, "category": category, "size": item["package_size"],
              "price": price, "brand": item["brand"]}  # fmt: skip
    if chinese:
        fields["size"] = f"{number}{UNITS_ZH[unit]}"
    events = [{"title": bought, "action": "buy"}, {"words": title.lower(), "action": "search"}]
    return Case(fields, events, slots, _told(fields, events))


def _short_title(title: str) -> str:
    """As people say it: "Matrix, The (1999)" is The Matrix."""
    name = re.sub(r"\s*\([^)]*\)", "", title).strip()
    found = re.fullmatch(r"(.*), (The|A|An|Le|La|Les|L'|Das|Der|Die|Il|El)", name)
    return f"{found[2]} {found[1]}".replace("' ", "'") if found else name


def _decade(year: int, chinese: bool, chance: random.Random) -> str:
    if chinese:
        return str(year // 10 * 10 % 100 or "00") if chance.random() < 0.5 else str(year // 10 * 10)
    return f"{year // 10 * 10}s"


def _number(value: int, chinese: bool, chance: random.Random) -> str:
    if value > 12 or chance.random() < 0.5:
        return str(value)
    return DIGITS_ZH[value] if chinese and value <= 10 else str(value) if chinese else NUMBERS[value]


def _plain_words(plot: str) -> list[str]:
    """Words of a plot that are most likely nouns, nobody's name, and not negated."""
    found = re.findall(r"(?<![\w'-])(?<!no )(?<!not )[a-z]{5,}(?![\w'-])", plot)
    return [word for word in found if not word.endswith(("ly", "ing", "ed", "ously", "ous", "ful", "ive", "less"))]


def _told(fields: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> str:
    said = [json.dumps(list(one.values()), ensure_ascii=False) for one in (fields, *events)]
    return " ".join(said).lower()
