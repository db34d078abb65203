"""The template writer: every pattern of it said of one film, and one list told so that no two items are alike."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.pipeline.content import TIERS, Phrase, Style, Subject, Writer, filled
from penchant.pipeline.grounding import Past, Rules, check, facts_of
from penchant.types import ContentKind, Language, Tone

FILM = {"title": "Aliens (1986)", "genres": ["Horror", "Sci-Fi"], "director": "James Cameron"}
SAID: dict[Language, dict[str, str]] = {
    "en": {
        "title": "Aliens (1986)",
        "kinds": "Horror and Sci-Fi",
        "shared": "Horror",
        "made": "directed by James Cameron",
        "did": "watched Alien (1979)",
        "why": "watched Alien (1979)",
        "both": "both are Horror",
        "link": "people who did so often turn to this next",
    },
    "zh": {
        "title": "Aliens (1986)",
        "kinds": "Horror、Sci-Fi",
        "shared": "Horror",
        "made": "由James Cameron执导",
        "did": "看过《Alien (1979)》",
        "why": "看过《Alien (1979)》",
        "both": "同属Horror",
        "link": "这样做过的人接下来常选这个",
    },
}
PATTERNS = [(style, pattern) for style, tiers in TIERS.items() for tier in tiers for pattern in tier]
STYLES = [Style(kind, language, tone, 300) for language, kind, tone in TIERS]


def phrases(language: Language, *names: str) -> dict[str, Phrase]:
    return {name: Phrase(text, {}) for name, text in SAID[language].items() if not names or name in names}


def holds(text: str, language: Language) -> bool:
    facts = facts_of(FILM, [Past("watch", title="Alien (1979)")])
    return check(text, facts, Rules(language=language)).text == text


@pytest.mark.parametrize(("style", "pattern"), PATTERNS, ids=[pattern for _, pattern in PATTERNS])
def test_every_pattern_holds_for_the_checker(style: tuple[Language, ContentKind, Tone], pattern: str) -> None:
    assert holds(filled(pattern, phrases(style[0])).text, style[0])


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_items_of_a_list_are_told_by_one_pattern_after_the_other(style: Style) -> None:
    """All of a list share everything but their ids: as many texts differ as the fullest patterns are."""
    writer, told = Writer(style), phrases(style.language)
    fullest = len(TIERS[style.language, style.kind, style.tone][0])
    texts = [writer.write(Subject(f"i{k}", told), lambda _: True).text for k in range(fullest)]
    assert len(set(texts)) == fullest >= 3


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_the_same_facts_are_told_in_the_same_words(style: Style) -> None:
    told = phrases(style.language)
    texts = {Writer(style).write(Subject("i1", told), lambda _: True).text for _ in range(3)}
    assert len(texts) == 1
    assert len({Writer(style).write(Subject(f"i{k}", told), lambda _: True).text for k in range(20)}) > 1


def test_what_does_not_hold_makes_a_shorter_text_and_at_last_the_title() -> None:
    writer, subject = Writer(Style("blurb", "en", "plain", 300)), Subject("i1", phrases("en"))
    assert "directed by" in writer.write(subject, lambda text: "watched" not in text).text
    assert writer.write(subject, lambda text: text == "Aliens (1986)").text == "Aliens (1986)"
    assert writer.write(subject, lambda _: False).text == ""
    assert writer.write(Subject("i1", {}), lambda _: True).text == ""


def test_a_text_has_room_or_is_a_shorter_one() -> None:
    told = phrases("en") | {"title": Phrase("Pencils, Pre-Sharpened, 24 Count", {})}
    for longest, text in ((32, "Pencils, Pre-Sharpened, 24 Count"), (26, "Pencils, Pre-Sharpened, 24"), (9, "Pencils")):
        assert Writer(Style("title", "en", "plain", longest)).write(Subject("i", told), lambda _: True).text == text
    assert Writer(Style("title", "en", "plain", 5)).write(Subject("i", told), lambda _: True).text == ""


def test_a_title_with_a_mark_of_its_own_needs_no_full_stop_and_braces_are_only_text() -> None:
    for title, said in (("Airplane!", "Airplane!"), ("Monsters, Inc.", "Monsters, Inc."), ("{did}", "{did}.")):
        assert filled("{title}.", {"title": Phrase(title, {})}).text == said


_TEXTS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=40)


@settings(max_examples=150)
@given(st.sampled_from(STYLES), st.dictionaries(st.sampled_from(list(SAID["en"])), _TEXTS), st.integers(1, 200))
def test_law_whatever_the_phrases_a_text_holds_and_has_room(style: Style, said: dict[str, str], longest: int) -> None:
    facts = facts_of({"title": said.get("title", ""), "genres": [said.get("kinds", "")]})
    rules = Rules(language=style.language, longest=longest)
    told = {name: Phrase(text, {}) for name, text in said.items()}
    writer = Writer(style._replace(longest=longest))
    text = writer.write(Subject("i", told), lambda text: check(text, facts, rules).text == text).text
    assert len(text) <= longest
    assert text == "" or check(text, facts, rules).text == text
