"""One sentence for each kind of reason, in both languages."""

from __future__ import annotations

from typing import Any

import pytest

from penchant.pipeline.wording import Speaker
from penchant.types import Candidate, Language, Moved, Reason

ENGLISH, CHINESE = Speaker("en", {}), Speaker("zh", {})


def moved(effect: float = 1.0, through: str = "text", **more: Any) -> Moved:
    told = {"event": "e", "action": "click", "item": "alien", "title": "Alien (1979)"} | more
    return Moved(effect=effect, through=through, **told)  # type: ignore[arg-type]


def said(reason: Reason, **more: Any) -> tuple[str, str]:
    candidate = Candidate(item="aliens", score=1.0, **more)
    return ENGLISH.sentence(reason, candidate), CHINESE.sentence(reason, candidate)


def because(*events: Moved) -> tuple[str, str]:
    return said(Reason(text="", rank=1, moved=list(events)))


def test_of_an_event_and_what_both_items_are() -> None:
    assert because(moved(action="watch", shared={"brand": ["Fox"], "genres": ["Sci-Fi", "Horror"]})) == (
        "Because you watched Alien (1979): both are Sci-Fi and Horror.",
        "因为您看过《Alien (1979)》：同属Sci-Fi、Horror。",
    )


@pytest.mark.parametrize(
    ("shared", "english", "chinese"),
    [
        ({"brand": ["Fox"], "title": ["Alien"]}, "the same brand, Fox", "品牌相同：Fox"),
        ({"film_studio": ["Fox"]}, "the same film studio, Fox", "film_studio相同：Fox"),
        ({"title": ["Alien", "Night"]}, "both titles have “Alien” and “Night”", "标题都有“Alien”、“Night”"),
    ],
)
def test_of_an_event_and_what_both_items_have(shared: dict[str, list[str]], english: str, chinese: str) -> None:
    told = because(moved(shared=shared))
    assert told == (
        f"Because you looked at Alien (1979): {english}.",
        f"因为您点击过《Alien (1979)》：{chinese}。",
    )


@pytest.mark.parametrize(
    ("through", "english", "chinese"),
    [
        ("transitions", "people who did so often turn to this next", "这样做过的人接下来常选这个"),
        ("neighbours", "people who did so often choose this too", "这样做过的人也常选这个"),
        ("similar_people", "people whose choices are like yours chose this", "与您选择相近的人选了这个"),
    ],
)
def test_what_came_by_counts_is_not_told_by_fields(through: str, english: str, chinese: str) -> None:
    one = moved(action="buy", through=through, shared={"genres": ["Horror"]})
    assert because(one) == (f"Because you bought Alien (1979): {english}.", f"因为您买过《Alien (1979)》：{chinese}。")


def test_where_nothing_links_the_two_the_event_stands_alone() -> None:
    assert because(moved(title=None)) == ("Because you looked at alien.", "因为您点击过《alien》。")
    assert because(moved(through="again", action="buy")) == (
        "Because you bought Alien (1979).",
        "因为您买过《Alien (1979)》。",
    )


def test_of_words_that_were_typed() -> None:
    typed = {"item": None, "title": None, "words": "太空 horror"}
    assert because(moved(action="search", shared={"title": ["horror"]}, **typed)) == (
        "Because you searched for “太空 horror”: its title has “horror”.",
        "因为您搜索过“太空 horror”：标题有“horror”。",
    )
    assert because(moved(action="comment", **typed)) == (
        "Because you wrote “太空 horror”.",
        "因为您写过“太空 horror”。",
    )


def test_the_event_told_is_the_strongest_that_spoke_for_the_item() -> None:
    against, for_it = moved(-3.0, action="hide", title="Jaws"), moved(0.2, title="Heat")
    assert because(against, for_it)[0] == "Because you looked at Heat."


def test_an_action_is_told_as_the_settings_say() -> None:
    speaker = Speaker("en", {"binge": {"en": "binged"}, "cart": {"en": "put {} aside", "zh": "加购"}})
    candidate = Candidate(item="aliens", score=1.0)
    told = [
        speaker.sentence(Reason(text="", rank=1, moved=[moved(action=one)]), candidate) for one in ("binge", "cart")
    ]
    assert told == ["Because you binged Alien (1979).", "Because you put Alien (1979) aside."]
    assert because(moved(action="binge")) == ("Because you chose Alien (1979).", "因为您选过《Alien (1979)》。")
    chinese = Speaker("zh", speaker.said)
    assert (
        chinese.sentence(Reason(text="", rank=1, moved=[moved(action="cart")]), candidate)
        == "因为您加购《Alien (1979)》。"
    )


def test_braces_in_a_title_are_only_text() -> None:
    one = moved(title="{} {0} {name}", shared={"genres": ["{x}"]})
    assert because(one)[0] == "Because you looked at {} {0} {name}: both are {x}."


def test_of_a_place_that_the_policy_gave() -> None:
    told = said(Reason(text="", rank=1, moved=[moved()]), placed="sponsored")
    assert told == ("Sponsored.", "赞助内容。")


@pytest.mark.parametrize(
    ("reason", "terms", "english", "chinese"),
    [
        (
            {"about": "Alien", "shared": {"genres": ["Horror"]}},
            {},
            "Like Alien: both are Horror.",
            "与《Alien》相似：同属Horror。",
        ),
        (
            {"about": "Alien"},
            {"transitions": 2.0, "text": 1.0},
            "People who chose Alien often turn to this next.",
            "选过《Alien》的人接下来常选这个。",
        ),
        ({"about": "red", "shared": {"title": ["red"]}}, {"words": 1.0}, "Its title has “red”.", "标题有“red”。"),
        ({"about": "red"}, {"words": 0.0, "text": 1.0}, "Near in meaning to “red”.", "意思与“red”相近。"),
        ({"earlier": 0.5}, {"text": 1.0}, "Because of what you did before.", "根据您以前的行为。"),
        ({}, {"popularity": 2.0, "freshness": 1.0}, "Popular lately.", "近期热门。"),
        ({}, {"popularity": 0.0, "freshness": 0.1}, "New here.", "新上架。"),
        ({}, {"text": 0.0}, "", ""),
    ],
)
def test_without_an_event_a_reason_tells_what_else_speaks(
    reason: dict[str, Any], terms: dict[str, float], english: str, chinese: str
) -> None:
    assert said(Reason(text="", rank=1, **reason), terms=terms) == (english, chinese)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_other_people_have_no_names(language: Language) -> None:
    one = moved(through="similar_people")
    text = Speaker(language, {}).sentence(Reason(text="", rank=1, moved=[one]), Candidate(item="x", score=1.0))
    assert ("people whose" in text) == (language == "en")
