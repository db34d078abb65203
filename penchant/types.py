"""The eight words, as data. The same names stand in JSON, in code, in the docs and in the logs.

`Policy` says how candidates become a slate; the stage that does it is `pipeline.policy`. `UserState` lives as rows of
arrays in `storage.state_store`, since sixty of them are stepped in one call.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

Kind = Literal["interaction", "item", "user", "impression", "retraction", "alias", "erasure", "retention"]
KINDS: tuple[Kind, ...] = (
    "interaction",
    "item",
    "user",
    "impression",
    "retraction",
    "alias",
    "erasure",
    "retention",
)
Language = Literal["en", "zh"]  # of sentences about items
ContentKind = Literal["title", "blurb", "reason"]
Tone = Literal["plain", "warm"]
TITLE = "title"  # in what items share: words that stand in what both are called, whichever field that is
Scalar = str | int | float | bool


class Event(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Something that happened. The log of events is the only truth; all else can be rebuilt from it.

    interaction  ``user``, ``action``, and an ``item`` and/or ``words`` (a search, a comment); ``value``, ``context``
    item         ``item`` with ``fields``, ``vectors`` brought by the application, ``available``; or ``removed``
    user         ``user`` with profile ``fields``; or ``removed``
                 either with ``patch``: only what it names changes (`storage.patches`)
    impression   ``user`` was shown ``slate``
    retraction   the event whose id is ``target`` did not happen
    alias        the anonymous ``session`` is ``user``: from now on both are one person
    erasure      forget ``user``
    retention    old events were dropped, as the settings say: the log's own, which nobody can send

    ``id`` makes sending it again harmless; without one, the log gives one. ``time`` is Unix seconds; without one,
    the moment of arrival.
    """

    kind: Kind = "interaction"
    id: str | None = None
    time: float | None = None
    user: str | None = None
    action: str | None = None
    item: str | None = None
    words: str | None = None
    value: float | None = None
    context: dict[str, Scalar] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    vectors: dict[str, list[float]] = field(default_factory=dict)
    available: bool | None = None
    removed: bool = False
    patch: bool = False
    slate: list[str] = field(default_factory=list)
    target: str | None = None
    session: str | None = None


class Item(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A catalogue entry as the application sends it; `Event(kind="item")` carries the same fields."""

    id: str
    fields: dict[str, Any] = field(default_factory=dict)
    vectors: dict[str, list[float]] = field(default_factory=dict)
    available: bool = True
    time: float | None = None

    def event(self) -> Event:
        return Event(
            kind="item",
            item=self.id,
            fields=self.fields,
            vectors=self.vectors,
            available=self.available,
            time=self.time,
        )


class Profile(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is known of a person beside what was done; `Event(kind="user")` carries the same fields."""

    id: str
    fields: dict[str, Any] = field(default_factory=dict)

    def event(self) -> Event:
        return Event(kind="user", user=self.id, fields=self.fields)


class Page(Struct, kw_only=True, omit_defaults=True):
    """Some items in the order in which they were first mentioned; ``next``: ask for those after it, None at the end."""

    items: list[Item]
    next: str | None = None


class Condition(Struct, frozen=True, forbid_unknown_fields=True):
    """A constraint on an item field: it ``equals`` a value (a list contains it), or lies in [``low``, ``high``]."""

    field: str
    equals: Scalar | None = None
    low: float | None = None
    high: float | None = None


class Pin(Struct, frozen=True, forbid_unknown_fields=True):
    """An item that stands at ``slot`` (1: the first), whatever its score."""

    item: str
    slot: int


class Promotion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Items of which the rule ``filter`` is true gain ``boost`` in score, and ``at_least`` so many are shown."""

    filter: str
    boost: float = 0.0
    at_least: int = 0


class Auction(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sponsored ``slots`` (1: the first), given to the largest bid times the probability of ``action``.

    ``bids``: what an item's sponsor pays at most for one such action. Each winner pays what it would have taken to stay
    before the next one, and ``reserve`` at least (generalized second price, Edelman, Ostrovsky & Schwarz 2007).
    """

    slots: tuple[int, ...]
    bids: dict[str, float]
    action: str = "click"
    reserve: float = 0.0


class Policy(Struct, kw_only=True, forbid_unknown_fields=True):
    """How candidates become a slate. What is left out is as the settings say, and they say nothing by default.

    diversity   0: by score alone; towards 1, what is unlike the rest of the list
    stability   0: by score alone; 1: what stood in the person's last list stays where it was
    previous    the list that is to stay; left out, the last one that was made for the same question
    caps        most items in a list that share a value of a field: ``{"brand": 2}``
    pins, promotions, sponsored   see there; none of them shows what may not be shown
    """

    diversity: float | None = None
    stability: float | None = None
    previous: tuple[str, ...] | None = None
    caps: dict[str, int] | None = None
    pins: tuple[Pin, ...] | None = None
    promotions: tuple[Promotion, ...] | None = None
    sponsored: Auction | None = None


class Query(Struct, kw_only=True, forbid_unknown_fields=True):
    """Who asks, when, in which context, for how many, under which constraints, with which words.

    ``time`` is the only clock the pipeline reads (Unix seconds; the engine fills it in once, at the door).
    ``seen`` is ``"ever"`` (hide all the person touched), ``"allow"``, or a window in seconds; left out, it is
    what the settings say for lists (``"ever"`` by default) and ``"allow"`` for searches.
    ``track``: that the list counts as shown, and what is done about it as feedback; left out, a server says so of lists
    of the present moment, and nobody else does.
    ``filter``: a rule over fields of items, the person and the context, as `expressions` reads it; an item of which it
    is not true is not shown.
    ``after``: an offset of the log (`Receipt.as_of`) that the list has to know; one that does not is refused.
    ``explain``: also say why each item is there (`Reason`), worded in ``language``; of at most 100 items.
    """

    user: str | None = None
    time: float | None = None
    limit: int = 10
    words: str | None = None
    context: dict[str, Scalar] = field(default_factory=dict)
    where: tuple[Condition, ...] = ()
    filter: str | None = None
    seen: Literal["ever", "allow"] | float | None = None
    policy: Policy | None = None
    track: bool | None = None
    explain_removed: bool = False
    after: int | None = None
    explain: bool = False
    language: Language = "en"


class Sponsorship(Struct, kw_only=True):
    """What a sponsored place was won with: the bid, the probability of the action, and the price of one action."""

    bid: float
    probability: float
    price: float


class Moved(Struct, kw_only=True, omit_defaults=True):
    """A past event that moved the score of an item: ``effect`` is the score with it minus the score without it.

    ``event``: its id; ``item`` and ``title`` of what it was about, or the ``words`` that were typed.
    ``through``: the feature whose term it moved most, in the direction of ``effect``.
    ``shared``: by field, what both items have in common (`TITLE`: words of what they are called), or which of the words
    typed the item's field holds; said of the events that moved it most.
    """

    event: str
    action: str
    effect: float
    through: str
    item: str | None = None
    title: str | None = None
    words: str | None = None
    shared: dict[str, list[str]] = field(default_factory=dict)


class Reason(Struct, kw_only=True, omit_defaults=True):
    """Why an item stands in a list, beside its ``terms`` and ``sources``; see docs/reasons.md.

    ``text``: one sentence made of facts alone; empty where none of them says why.
    ``moved``: the person's last 32 events, as far as they moved the score, the strongest first.
    ``earlier``: what all that came before these did to it together.
    ``rank``: its place by score alone among all that might be shown, and ``rank_without`` the strongest event.
    ``about``: what the question itself names: the title of the item that others are to be like, or the words of a
    search; ``shared``: what this item shares with that.
    ``as_of``: where the reason was told later than the list: the offset of the log at which counts, vectors and model
    stood then; ranks are those among the list's own items.
    """

    text: str
    rank: int
    moved: list[Moved] = field(default_factory=list)
    earlier: float = 0.0
    rank_without: int | None = None
    about: str | None = None
    shared: dict[str, list[str]] = field(default_factory=dict)
    as_of: int | None = None


class Candidate(Struct, kw_only=True, omit_defaults=True):
    """An item, where it came from, what spoke for it, and, when it was removed, why.

    ``terms``: what each of the ``features`` adds to the score, which is their sum.
    ``probabilities``: of each action, should the person turn to this item; ``rating``: the value that the person would
    give it. Both only of people, and only where the version in use has learned them; where none has learned ratings,
    those of given items (`Engine.rank`) are foretold by people who rated alike, if anybody rated anything.
    ``placed``: that it stands here by the policy and not by its score alone.
    ``reason``: why it is there, where the query asked for it (`explain`).
    """

    item: str
    score: float
    sources: list[str] = field(default_factory=list)
    features: dict[str, float] = field(default_factory=dict)
    terms: dict[str, float] = field(default_factory=dict)
    removed: str | None = None
    probabilities: dict[str, float] = field(default_factory=dict)
    rating: float | None = None
    placed: Literal["pinned", "promoted", "sponsored"] | None = None
    sponsorship: Sponsorship | None = None
    reason: Reason | None = None


class Slate(Struct, kw_only=True, omit_defaults=True):
    """The decision. ``as_of`` is the log offset of the newest event this list has taken in; every earlier one too.

    ``user_as_of`` is the offset of the newest event of this very person (0: none known).
    ``retrieved`` = len(kept) + len(removed), before the cut to ``limit``.
    ``notes``: what looks like a mistake in the question, which was answered all the same.
    ``id``: of a list that counts as shown, by which it is found again (`Engine.slate`).
    ``like``: the item that these are like, where such were asked for.
    """

    items: list[Candidate]
    as_of: int
    version: str
    time: float
    user: str | None = None
    user_as_of: int = 0
    retrieved: int = 0
    removed: list[Candidate] | None = None
    notes: list[str] = field(default_factory=list)
    id: str | None = None
    like: str | None = None


class Writing(Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be written: of each of ``items`` (100 at most), for ``user``, of at most ``longest`` characters.

    ``kind``: a headline (`title`), one to three sentences about the item (`blurb`), or why it is for this person
    (`reason`).
    """

    items: list[str]
    user: str | None = None
    kind: ContentKind = "blurb"
    language: Language = "en"
    tone: Tone = "plain"
    longest: int = 300


class Content(Struct, kw_only=True, omit_defaults=True):
    """A text about an item for one person; empty where not even the title may be said, or has room.

    ``facts``: all that it tells, by field of the item (`TITLE`: what it is called), as values;
    ``events``: ids of the person's events that it tells of.
    """

    item: str
    text: str
    writer: Literal["template"]
    facts: dict[str, list[str]] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)


class Contents(Struct, kw_only=True):
    """Texts, one for each item in the order asked; ``as_of``: the newest event they know of, as in a slate."""

    contents: list[Content]
    as_of: int


class Done(Struct, kw_only=True):
    """What was done with an item of a slate: the first time of each action, and what it is worth (its weight)."""

    item: str
    place: int
    actions: dict[str, float]
    reward: float


class Feedback(Struct, kw_only=True):
    """A slate as it was shown, the question it answered, and what was done about it.

    ``until``: what is done by then belongs to it; ``settled``: nothing will be added any more. ``place`` in ``done``
    counts from 1. ``reward`` is the sum over its items.
    """

    slate: Slate
    query: Query
    done: list[Done]
    reward: float
    until: float
    settled: bool


class Refusal(Struct, kw_only=True):
    """An event that was not taken: its place in the batch, the field, the value, and the way out."""

    index: int
    field: str
    value: str
    detail: str


class Receipt(Struct, kw_only=True, omit_defaults=True):
    """What became of a batch of events, once the log has committed it.

    ``late``: kept in the log and in the counts, but too old to be put into its place in the person's state.
    ``as_of``: a list whose ``as_of`` is at least this number has taken all of the batch in.
    """

    accepted: int
    as_of: int
    ids: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    erased: list[Erased] = field(default_factory=list)


class Erased(Struct, kw_only=True):
    """Proof of an erasure. ``person`` is the log's number, which no longer leads to a name.

    ``counts``: "exact" when they are as if the person had never been; "rebuilding" while they are being counted again
    from the log, beside the ones in use, from which the person's share was subtracted as far as it could be.
    """

    person: int
    events: int
    offset: int
    counts: Literal["exact", "rebuilding"]
