"""Whether a text says only what is true: claims of a draft held against an item's fields and a person's events.

    facts = facts_of(item.fields, [Past("watch", title="Heat")], sensitive=["margin"])
    check("Directed by Michael Mann, it follows Heat.", facts, Rules(language="en")).text

Pure functions of text and facts. What counts as a fact stands in `facts`, how a sentence is read in `checking`,
`quantities` and `relations`, and the words that may bind facts together in `vocabulary`; docs/grounding.md tells it to
people.

Does not know: engine, clock, network, or who writes.
"""

from penchant.pipeline.grounding.checking import Checked, Claim, Rules, check
from penchant.pipeline.grounding.facts import Facts, Past, facts_of

__all__ = ["Checked", "Claim", "Facts", "Past", "Rules", "check", "facts_of"]
