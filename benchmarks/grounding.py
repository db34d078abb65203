"""Does the checker catch what is not true, and leave alone what is? On texts that were made without it.

    PENCHANT_DATA=<folder with ml-1m, amazon-office, complete-journey> make bench-grounding
    SENTENCES=tuning make bench-grounding       one file of sentences alone; writes no row

1,000 true texts and 1,000 with one fact changed, of real items and histories (`grounded_texts`). A change is caught
when the sentence that holds it is not shown; a true text is wrongly refused when anything of it is not. FAULTS=20
prints so many texts of each kind that went wrong.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict

from rich.console import Console
from rich.table import Table

from benchmarks.grounded_texts import KINDS, ZH, Text, texts
from benchmarks.movielens import data_folder
from benchmarks.rows import write_row
from penchant.pipeline.grounding import Checked, Past, Rules, check, facts_of

MANY = 1000
GENRES = frozenset(name.lower() for name in ZH)
PROTOCOL = (
    "texts of one to three sentences from patterns by somebody who had not seen the checker or its words "
    "(sentences/another_writer.txt, first sight at row 1 of this protocol); ..._own: patterns by the checker's "
    "author, held out while its words were chosen; one fact changed into another item's; English (74%) and Chinese "
    "(26%, genres and departments translated); caught: the changed sentence is not shown; wrongly refused: any part of "
    "a true text cut"
)


def main() -> None:
    asked = os.environ.get("SENTENCES")
    if asked:
        tallied(asked)
        return
    found = figures(tallied("another_writer"))
    found |= {f"{name}_own": figure for name, figure in figures(tallied("held_out")).items()}
    write_row("grounding", data="MovieLens-1M, amazon-office, Complete Journey", protocol=PROTOCOL, seeds=1,
              figures=found)  # fmt: skip


def tallied(sentences: str) -> dict[str, Counter[bool]]:
    data = data_folder("ml-1m").parent
    tally: dict[str, Counter[bool]] = defaultdict(Counter)
    faults: dict[str, list[str]] = defaultdict(list)
    for text in texts(data, sentences, MANY):
        checked = judged(text)
        right = text.wrong not in checked.text if text.kind else checked.text == text.draft
        for key in (text.kind or "true", f"{text.kind or 'true'}_{text.language}"):
            tally[key][right] += 1
        if not right:
            faults[text.kind or "true"].append(told(text, checked))
    shown(sentences, tally, faults)
    return tally


def judged(text: Text) -> Checked:
    past = [Past(**{"words": "", **event}) for event in text.case.events]
    facts = facts_of(text.case.fields, past)
    return check(text.draft, facts, Rules(language="zh" if text.language == "zh" else "en", longest=2000))


def told(text: Text, checked: Checked) -> str:
    if text.kind:
        return text.wrong
    missed = [claim[:2] for claim in checked.claims if not claim.held]
    return f"{text.draft} <- {missed} {dict(checked.cut)} {checked.refused}"


def figures(tally: dict[str, Counter[bool]]) -> dict[str, float]:
    found = {}
    for end in ("", "_en", "_zh"):
        found |= {f"caught_{kind}{end}": _share(tally[kind + end], True) for kind in KINDS if tally[kind + end]}
        found[f"wrongly_refused{end}"] = _share(tally[f"true{end}"], False)
    return found


def _share(counts: Counter[bool], side: bool) -> float:
    return counts[side] / max(1, counts.total())


def shown(sentences: str, tally: dict[str, Counter[bool]], faults: dict[str, list[str]]) -> None:
    table = Table("texts", "of", "right", "share", title=sentences)
    for kind, counts in sorted(tally.items()):
        table.add_row(kind, str(counts.total()), str(counts[True]), f"{_share(counts, True):.3f}")
    Console().print(table)
    for kind, many in faults.items():
        for one in many[: int(os.environ.get("FAULTS", "0"))]:
            print(kind, "|", one)


if __name__ == "__main__":
    main()
