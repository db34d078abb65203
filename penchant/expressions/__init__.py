"""A small language for rules: which items may be shown, by what they are, who asks, and where.

    price < 50 and "drama" in genres and not seen(30d)
    language in ["en", person.language] and (age_limit <= person.age or kids)

What stands alone is a field of the item; `person.NAME` is a field of who asks, `context.NAME` what was said of the
moment. A truth is true, false or unknown, as in SQL (Kleene 1952): a comparison with something that is not there, or
of things that cannot be compared, is unknown; so is its `not`; and only what is true is shown. So a rule never lets
through more than it says. A list that is not there is empty, though: an item without tags does not have the tag.

    parse(text)                        -> a tree; raises InvalidInput that names the column
    resolved(tree, person, context)    -> the same for one person and moment: fields of items are left
    truth(tree, fields)                -> FALSE, UNKNOWN or TRUE of an item

Does not know: items by number, masks, or where anything is kept (`pipeline.filters`).
"""

from penchant.expressions.reading import DEEPEST, LONGEST, fields_read, parse
from penchant.expressions.tree import (
    FALSE,
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
    asks_seen,
    fields_of,
)
from penchant.expressions.truth import COMPARED, is_number, resolved, truth

__all__ = [
    "COMPARED",
    "DEEPEST",
    "FALSE",
    "LONGEST",
    "TRUE",
    "UNKNOWN",
    "And",
    "Compared",
    "Is",
    "Known",
    "Not",
    "Of",
    "Or",
    "Seen",
    "Told",
    "Tree",
    "Within",
    "asks_seen",
    "fields_of",
    "fields_read",
    "is_number",
    "parse",
    "resolved",
    "truth",
]
