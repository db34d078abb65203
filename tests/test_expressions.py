"""The language of rules: what is read, what is refused and where, and what is true of an item."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.errors import InvalidInput
from penchant.expressions import (
    DEEPEST,
    FALSE,
    LONGEST,
    TRUE,
    UNKNOWN,
    And,
    Compared,
    Is,
    Known,
    Not,
    Of,
    Or,
    Seen,
    Told,
    Tree,
    Within,
    fields_read,
    parse,
    resolved,
    truth,
)

FILM = {"price": 9.5, "year": 1979, "genres": ["drama", "war"], "kids": False, "title": "Apocalypse Now", "odd name": 3,
        "language": "en", "nothing": None, "no number": float("nan"), "studio": "Omni"}  # fmt: skip


def of(
    text: str, fields: Mapping[str, Any] = FILM, person: Mapping[str, Any] = {}, context: Mapping[str, Any] = {}
) -> int:
    return truth(resolved(parse(text), person, context), fields)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("price < 50", TRUE),
        ("price < 9.5", FALSE),
        ("price <= 9.5", TRUE),
        ("50 > price", TRUE),
        ("1970 <= year < 1980", TRUE),
        ("1970 <= year < 1979", FALSE),
        ("year = 1979", TRUE),
        ("year != 1979", FALSE),
        ('"drama" in genres', TRUE),
        ("'comedy' in genres", FALSE),
        ('"comedy" not in genres', TRUE),
        ('not "drama" in genres', FALSE),
        ('language in ["de", "en"]', TRUE),
        ("year in [1978, 1979]", TRUE),
        ('"Now" in title', TRUE),
        ('"now" in title', FALSE),
        ('"Omni" in studio', TRUE),
        ("kids", FALSE),
        ("not kids", TRUE),
        ("kids == false", TRUE),
        ("`odd name` == 3", TRUE),
        ("item.year == 1979", TRUE),
        ("price < 5 or year > 1970 and not kids", TRUE),
        ("(price < 5 or year > 1970) and kids", FALSE),
        ("NOT kids AND Year > 0", UNKNOWN),
        ('title == "Apocalypse Now"', TRUE),
        ('title < "B"', TRUE),
        ("true", TRUE),
        ("not true or false", FALSE),
        # what is not there, or cannot be compared, is unknown, and so is its opposite
        ("stock > 0", UNKNOWN),
        ("not stock > 0", UNKNOWN),
        ("not (stock > 0 and price < 50)", UNKNOWN),
        ("stock > 0 or price < 50", TRUE),
        ("stock > 0 and price > 50", FALSE),
        ("nothing == 0", UNKNOWN),
        ("`no number` == `no number`", UNKNOWN),
        ('year == "1979"', UNKNOWN),
        ("kids == 0", UNKNOWN),
        ("title > 3", UNKNOWN),
        ("genres == title", UNKNOWN),
        ("year", UNKNOWN),
        ("stock in [1, 2]", UNKNOWN),
        # but a list that is not there is an empty one
        ('"a" in tags', FALSE),
        ('"a" not in tags', TRUE),
        ("1979 in year", TRUE),
        ("true in year", FALSE),
    ],
)  # fmt: skip
def test_what_is_true_of_a_film(text: str, known: int) -> None:
    assert of(text) == known


def test_who_asks_and_where_are_read_too() -> None:
    ann, tv = {"age": 16, "speaks": ["en", "fr"], "language": "fr"}, {"device": "tv"}
    assert of("person.age >= 16", person=ann) == TRUE
    assert of("person.age >= 18 or price < 5", person=ann) == FALSE
    assert of("person.height > 1", person=ann) == UNKNOWN
    assert of("language in person.speaks", person=ann) == TRUE
    assert of('language in ["de", person.language]', person=ann) == FALSE
    assert of('language not in ["de", person.mother_tongue]', person=ann) == UNKNOWN
    assert of('context.device == "tv" and kids', context=tv) == FALSE
    assert of("kids or not context.loud", context=tv) == UNKNOWN
    assert of("year < person.age", person=ann) == FALSE


def test_what_does_not_depend_on_the_item_is_worked_out_before() -> None:
    child = {"age": 9}
    assert resolved(parse("person.age >= 18 or kids"), child, {}) == parse("kids")
    assert resolved(parse("person.age >= 18 and kids"), child, {}) == Known(FALSE)
    assert resolved(parse("person.age < 18 or kids"), child, {}) == Known(TRUE)
    assert resolved(parse("not person.age < 18"), child, {}) == Known(FALSE)
    assert resolved(parse("price < person.age"), child, {}) == parse("price < 9")
    assert resolved(parse("seen(1d) and true"), child, {}) == Seen(86_400.0)


def test_the_fields_that_it_reads_are_named() -> None:
    rule = 'price < person.budget and (kids or language in ["en", person.language, `odd name`]) and not context.loud'
    assert fields_read(rule) == {"price", "kids", "language", "odd name"}
    assert fields_read(rule, "person") == {"budget", "language"}
    assert fields_read(rule, "context") == {"loud"}
    assert fields_read("seen(1d) or person.age > 3") == set()


def test_times_are_in_seconds() -> None:
    assert parse("seen()") == Seen()
    assert parse("seen(90s)") == Seen(90.0)
    assert parse('seen(1.5h, "buy")') == Seen(5400.0, "buy")
    assert parse("seen('buy')") == Seen(None, "buy")
    assert parse("age < 2w") == Compared(Of("item", "age"), "<", Is(1_209_600.0))


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("", 1, "it ends where"),
        ("price <", 8, "a number"),
        ("price < 50 and", 15, "it ends where"),
        ("price 50", 7, "'50' stands where"),
        ("price < 50 genres", 12, "'genres' stands where"),
        ("(kids", 6, "it ends where"),
        ("price ~ 5", 7, "'~' is not understood"),
        ('title == "open', 10, "is not understood"),
        ("price < 5 and 3", 15, "3 is neither true nor false"),
        ("customer.age > 3", 1, "belongs to nobody known"),
        ("price == [5]", 10, "is a list"),
        ("true < kids", 1, "is neither more nor less"),
        ('5 < "a"', 5, "one is a number"),
        ('"a" in 5', 8, "holds nothing"),
        ("bought(3d)", 1, "there is seen()"),
        ("seen(true)", 6, "is neither a time"),
        ("seen(3d, 4d)", 10, "is one too much"),
        ("seen(-3)", 6, "is one too much"),
        ("1 < seen(3d)", 5, "is no value"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_column(text: str, column: int, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(text)
    assert refused.value.field == "filter"
    assert refused.value.way_out
    assert refused.value.what.startswith(f"column {column}: ")
    assert said in refused.value.what


@pytest.mark.parametrize("text", ["not " * (DEEPEST + 1) + "kids", "(" * 1500 + "a" + ")" * 1500, "a" * (LONGEST + 1)])
def test_an_expression_has_an_end(text: str) -> None:
    if len(text) <= LONGEST and "(" in text:
        assert truth(parse(text), {"a": True}) == TRUE  # brackets alone are no parts
        return
    with pytest.raises(InvalidInput):
        parse(text)


# -- any tree, beside the definition -----------------------------------------------------------------------------------

PYTHONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">=": lambda a, b: a >= b,
    ">": lambda a, b: a > b,
}
names = st.sampled_from(["a", "b", "c"])
fields = st.builds(Of, st.just("item"), names)
scalars = st.one_of(st.integers(-2, 2), st.booleans(), st.sampled_from(["x", "y", "xy"]))
values = st.one_of(scalars, st.none(), st.just(float("nan")), st.just(2**60), st.lists(scalars, max_size=3))
comparisons = st.sampled_from(["<", "<=", "==", "!=", ">=", ">"])
leaves = st.one_of(
    st.builds(Compared, fields, comparisons, st.builds(Is, scalars)),
    st.builds(Within, st.builds(Is, scalars), fields),
)
any_leaves = st.one_of(
    leaves,
    st.builds(Compared, st.builds(Is, scalars), comparisons, fields),
    st.builds(Compared, fields, comparisons, fields),
    st.builds(Within, fields, fields),
    st.builds(Within, fields, st.builds(Is, st.one_of(scalars, st.none()))),
    st.builds(Within, fields, st.builds(Is, st.lists(st.builds(Is, scalars | st.none()), max_size=3).map(tuple))),
    st.builds(Within, fields, st.builds(Is, st.tuples(st.builds(Is, scalars), fields))),
    st.builds(Told, fields),
    st.builds(Known, st.sampled_from([FALSE, UNKNOWN, TRUE])),
)


def grown(leaf: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    """Trees of such leaves."""
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.builds(Not, inner),
            st.builds(lambda *of: And(of), inner, inner),
            st.builds(lambda *of: Or(of), inner, inner, inner),
        ),
        max_leaves=8,
    )


def certain(tree: Tree, fields: Mapping[str, Any], wanted: bool) -> bool:
    """Whether it must be `wanted`, by the definition of Kleene: whatever stood in for what is unknown."""
    match tree:
        case Not(inner):
            return certain(inner, fields, not wanted)
        case And(parts):
            return (all if wanted else any)(certain(part, fields, wanted) for part in parts)
        case Or(parts):
            return (any if wanted else all)(certain(part, fields, wanted) for part in parts)
        case Compared(Of(_, name), by, Is(value)):
            known = fields.get(name)
            kinds = {bool if isinstance(one, bool) else str if isinstance(one, str) else int for one in (known, value)}
            apart = known is None or known != known or known == 2**60 or isinstance(known, list) or len(kinds) > 1
            if apart or (kinds == {bool} and by not in ("==", "!=")):
                return False
            return PYTHONS[by](known, value) is wanted
        case Within(Is(value), Of(_, name)):
            holder = fields.get(name)
            if isinstance(holder, str):
                return isinstance(value, str) and (value in holder) is wanted
            held = holder if isinstance(holder, list) else [] if holder is None else [holder]
            return any(type(one) is type(value) and one == value for one in held) is wanted
    raise AssertionError(tree)


@given(grown(leaves), st.dictionaries(names, values))
def test_an_expression_says_what_the_definition_says_and_never_more(tree: Tree, fields: dict[str, Any]) -> None:
    known = truth(resolved(tree, {}, {}), fields)
    assert (known == TRUE) == certain(tree, fields, True)
    assert (known == FALSE) == certain(tree, fields, False)
