"""What a sentence says two told things have to do with each other, as far as it is read.

Notable: a name after "directed by" has to come from the field of the director, and what "you bought" has to have been
bought, not watched. Other relations between things that are told are not read.

Does not know: grammar. Roles and actions are recognised by the words beside them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from penchant.pipeline.grounding.facts import Facts
from penchant.pipeline.grounding.reading import Token, stem
from penchant.pipeline.grounding.vocabulary import ACTIONS, ROLE_FIELDS, ROLES, SAME_ACTION

Name = tuple[int, int, tuple[str, ...]]
_ADVERBS = "(?:have |had |just |once |already |recently |lately |also |then |previously |ve |last )*"
_DID = re.compile(rf"(?<!if )(?<!whether )\byou {_ADVERBS}(\w+)|\byour (?:\w+ )?(order|purchase|search|rating)\b"
                  r"|您(?:曾|已|刚|还|最近|经常|常)*(?:经|刚)?(看过|看了|买过|购买|搜索|搜过|打分)")  # fmt: skip


def misattributed(read: Sequence[Token], names: Sequence[Name], facts: Facts) -> Iterator[tuple[str, str]]:
    """Names in a role that is another's, and actions that did not happen: words, and the kind of claim."""
    for start, stop, said in names:
        fields = {field.rpartition(".")[2].lower() for field in facts.fields[said]}
        role = _role(read, start, stop, names)
        if role and _has(role, facts) and _plays(fields) and not _matches(fields, role):
            yield " ".join(said), "role"
    text = " ".join(token.text for token in read if token.said)
    for found in _DID.finditer(text if not re.search("[\u3400-\u9fff]", text) else text.replace(" ", "")):
        action = ACTIONS.get(next(group for group in found.groups() if group))
        if action and facts.actions.isdisjoint(SAME_ACTION[action]):
            yield found[0], "action"


def _role(read: Sequence[Token], start: int, stop: int, names: Sequence[Name]) -> str:
    """The role that the words right before a name give it, or those right after."""
    taken = {at for a, b, _ in names for at in range(a, b)}
    for at in range(start - 1, max(-1, start - 5), -1):
        if at in taken or read[at].text in ",;，；、":
            break
        word = stem(read[at].text) if read[at].kind != "cjk" else read[at - 1].text + read[at].text
        if (role := ROLES.get(word)) and not _turned(read, at, start):
            return role
    return ""


def _turned(read: Sequence[Token], at: int, start: int) -> bool:
    """ "Stars" before a title of a person's ("... stars, Heat"), or a verb whose subject is a name before it."""
    return any(token.text in ("and", "while", "but") for token in read[at + 1 : start])


def _matches(fields: set[str], role: str) -> bool:
    return any(field.rstrip("s") in ROLE_FIELDS[role] or field in ROLE_FIELDS[role] for field in fields)


def _plays(fields: set[str]) -> bool:
    return any(_matches(fields, role) for role in ROLE_FIELDS)


def _has(role: str, facts: Facts) -> bool:
    return any(_matches({field.rpartition(".")[2].lower() for field in many}, role) for many in facts.fields.values())
