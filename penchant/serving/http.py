"""How people reach the engine: a few addresses over HTTP, each a thin handler around one verb.

    POST /v1/events      what happened (one, a list); with ?recommend=10 the acknowledgement brings the fresh list
    DELETE /v1/events/ID an interaction did not happen
    PUT  /v1/items       the catalogue
    GET  /v1/items       the catalogue, page by page; GET, PATCH and DELETE /v1/items/ID: one of it
    PUT  /v1/users       profiles; GET and PATCH /v1/users/ID, and DELETE: forget the person
    PUT  /v1/sessions/ID whose session it was; POST /v1/sessions: a new one
    GET  /v1/recommend   what this person should see next; POST: with a context, or a long rule
    GET  /v1/recommend/stream   the same, and again whenever it has become another one
    POST /v1/rank        these items, in this person's order
    POST /v1/content     a text about each of these items, for this person
    GET  /v1/search      what the words name or mean, in this person's order
    GET  /v1/similar     what is like this item
    GET  /v1/slates/ID   a list as it was shown, and what was done about it
    GET  /v1/feedback    what people do about lists, by version and source
    GET  /health/ready   whether it answers, and as of when; /health/live: whether the process does
    GET  /metrics        what there is to watch, for Prometheus
    GET  /docs           all of this, rendered
    GET  /penchant.js    what a page in a browser loads (`serving.script`)

Notable: one process, one event loop; the engine works in threads of its own (`serving.threads`). The server answers
before the engine is open: 503 with a way out. Bodies go through one typed decoder, answers through one encoder
(`serving.calls`); a second decoding would cost as much as a tenth of a list.

Does not know: what an event does, how a list is made, who may ask (`serving.door`), or who runs it (`serving.server`).
"""

from __future__ import annotations

import asyncio
import json
import math
from functools import lru_cache
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Litestar, Response, Router, delete, get, post, put
from litestar.handlers import BaseRouteHandler
from litestar.params import Parameter
from litestar.types import ASGIApp
from msgspec import UNSET, Struct, UnsetType

from penchant import __version__
from penchant.errors import InvalidInput, Unavailable
from penchant.evaluation.live import LiveReport, report
from penchant.pipeline.filters import parse
from penchant.serving import amending, bodies, pages, problems, streaming, telemetry
from penchant.serving.access import caller_of
from penchant.serving.calls import Answer, Call, Explain, Filter, Id, InLanguage, Limit, Where
from penchant.serving.calls import ingest as _ingest
from penchant.serving.calls import name_in as _name
from penchant.serving.calls import threads_of as _threads
from penchant.serving.door import Door, opened
from penchant.serving.requests import Requests
from penchant.serving.script import send_script
from penchant.serving.tenants import Many
from penchant.types import Contents, Event, Feedback, Item, Page, Policy, Profile, Query, Receipt, Slate, Writing

MAX_BODY = 8 * 2**20
_LAST_SECOND = 32_503_680_000  # the year 3000: what lies beyond is milliseconds
_OF_ANY = frozenset(("key",))  # parameters of every address

T = TypeVar("T", bound=Struct)
User = Annotated[str | None, Parameter(description="who asks; left out: nobody known")]
Seen = Annotated[
    str | None, Parameter(description="what to hide: `ever` seen, `allow` all, or seen in so many seconds")
]
After = Annotated[int | None, Parameter(ge=0, description="`as_of` of a receipt: the answer knows it, or is a 503")]
Dial = Annotated[float | None, Parameter(ge=0, le=1, description="0 to 1; docs/policies.md. POST for a whole policy")]
Time = Annotated[float | None, Parameter(ge=0, le=_LAST_SECOND, description="the moment of asking, Unix seconds")]


class Acknowledged(Receipt, kw_only=True, omit_defaults=True):
    """A receipt, and with `?recommend=` the list of that person, which knows these very events.

    ``slate`` is left out when too many queries wait: the events are safe, so this is no reason to send them again.
    """

    slate: Slate | None = None


class Health(Struct, kw_only=True):
    """``version`` is the model's, as in a slate; ``texts_waiting``: items that the language model has yet to read.

    Where the server has keys, all but ``penchant`` is for who asks with one.
    """

    penchant: str
    version: str | UnsetType = UNSET
    as_of: int | UnsetType = UNSET
    items: int | UnsetType = UNSET
    people: int | UnsetType = UNSET
    texts_waiting: int | UnsetType = UNSET
    warnings: list[str] | UnsetType = UNSET


class Life(Struct, kw_only=True):
    """``ready``: whether the data folder is open, so that lists are answered."""

    penchant: str
    ready: bool


# -- the addresses -----------------------------------------------------------------------------------------------------


@post("/events", status_code=200)
async def send_events(
    request: Call,
    recommend: Annotated[int | None, Parameter(ge=1, le=1000, description="answer with a list of so many")] = None,
    user: Annotated[str | None, Parameter(description="whose list; left out: of the last interaction sent")] = None,
) -> ASGIApp:
    """Say what happened: one event, a list, or `{"events": [...]}`.

    Once answered, it is durable and every list knows it. In a list, what is not valid is refused one by one and the
    rest is taken. With `recommend`, the answer brings the person's fresh list as `slate`.
    """
    sent = await _sent(request, bodies.EVENTS)
    caller_of(request.scope).check_events(sent.things)
    if recommend is not None:
        caller_of(request.scope).check_query(Query(user=user))
    receipt = await _ingest(request, sent, sent.things)
    if recommend is None:
        return Answer(receipt)
    return Answer(await _with_list(request, receipt, Query(user=user or _last_user(sent, receipt), limit=recommend)))


@put("/items")
async def send_items(request: Call) -> ASGIApp:
    """Send items, one or a list; sent again, an item is replaced. Each can be recommended within a second."""
    sent = await _sent(request, bodies.ITEMS)
    return Answer(await _ingest(request, sent, [item.event() for item in sent.things]))


@get("/items")
async def list_items(
    request: Call,
    after: Annotated[
        str | None, Parameter(description="the item before the first one: `next` of the last page")
    ] = None,
    limit: Annotated[int, Parameter(ge=1, le=1000, description="how many items")] = 100,
) -> ASGIApp:
    """The catalogue, page by page, in the order in which items were first mentioned; what comes meanwhile is last."""
    return Answer(await _threads(request).read(_threads(request).engine.items, after, limit))


@get("/items/{id:path}")
async def read_item(request: Call, id: Id) -> ASGIApp:
    """An item as it was sent last."""
    return Answer(await _threads(request).read(_threads(request).engine.item, _name(request)))


@delete("/items/{id:path}", status_code=200)
async def remove_item(request: Call, id: Id) -> ASGIApp:
    """Take an item out of the catalogue. What people did with it stays known."""
    await _threads(request).read(_threads(request).engine.item, _name(request))
    return Answer(await _threads(request).ingest([Event(kind="item", item=_name(request), removed=True)]))


@put("/users")
async def send_users(request: Call) -> ASGIApp:
    """Send profiles, one or a list; sent again, a profile is replaced."""
    sent = await _sent(request, bodies.PROFILES)
    return Answer(await _ingest(request, sent, [profile.event() for profile in sent.things]))


@get("/users/{id:path}")
async def read_user(request: Call, id: Id) -> ASGIApp:
    """A person's profile."""
    return Answer(await _threads(request).read(_threads(request).engine.profile, _name(request)))


@delete("/users/{id:path}", status_code=200)
async def erase_user(request: Call, id: Id) -> ASGIApp:
    """Forget a person: events, profile, state and what they added to any count. The receipt says what was forgotten."""
    await _threads(request).read(_threads(request).engine.profile, _name(request))
    return Answer(await _threads(request).ingest([Event(kind="erasure", user=_name(request))]))


@get("/recommend")
async def recommend(
    request: Call,
    user: User = None,
    limit: Limit = 10,
    where: Where = None,
    filter: Filter = None,
    seen: Seen = None,
    time: Time = None,
    diversity: Dial = None,
    stability: Dial = None,
    removed: Annotated[bool, Parameter(description="also say what was removed, and why")] = False,
    after: After = None,
    explain: Explain = False,
    language: InLanguage = "en",
) -> ASGIApp:
    """What this person should see next, with every event in it that was acknowledged before."""
    conditions = tuple(map(parse, where or ()))
    query = Query(user=user, limit=limit, where=conditions, filter=filter, seen=_seen(seen), time=time)
    query.explain_removed, query.after, query.explain, query.language = removed, after, explain, language
    if diversity is not None or stability is not None:
        query.policy = Policy(diversity=diversity, stability=stability)
    caller_of(request.scope).check_query(query)
    return Answer(await _threads(request).recommend(query))


@post("/recommend", status_code=200)
async def recommend_as_asked(request: Call) -> ASGIApp:
    """The same, asked with a body: for a context, and for rules too long for an address."""
    query = bodies.QUERIES.one(await request.body())
    caller_of(request.scope).check_query(query)
    return Answer(await _threads(request).recommend(query))


@post("/rank", status_code=200)
async def rank(request: Call) -> ASGIApp:
    """Put these items into this person's order, each once: all that are there and allowed, seen ones too."""
    asked = bodies.RANKINGS.one(await request.body())
    return Answer(await _threads(request).rank(asked.items, asked.query()))


@post("/content", status_code=200)
async def compose(request: Call) -> ASGIApp:
    """Write about each of these items for this person: headlines, blurbs or reasons, from facts alone; each checked."""
    return Answer(await _threads(request).compose(bodies.WRITINGS.one(await request.body())))


@get("/search")
async def search(
    request: Call,
    words: Annotated[str, Parameter(description="what was typed")],
    user: User = None,
    limit: Limit = 10,
    where: Where = None,
    filter: Filter = None,
    after: After = None,
    explain: Explain = False,
    language: InLanguage = "en",
) -> ASGIApp:
    """Items that the words name or mean, ordered for this person."""
    conditions = tuple(map(parse, where or ()))
    query = Query(user=user, limit=limit, words=words, where=conditions, filter=filter, after=after)
    query.explain, query.language = explain, language
    return Answer(await _threads(request).search(query))


@get("/similar")
async def similar(
    request: Call,
    item: Annotated[str, Parameter(description="the item that others are to be like")],
    limit: Limit = 10,
    where: Where = None,
    filter: Filter = None,
    after: After = None,
    explain: Explain = False,
    language: InLanguage = "en",
) -> ASGIApp:
    """Items like this one: near it in content, followed by it, met together with it."""
    query = Query(limit=limit, where=tuple(map(parse, where or ())), filter=filter, after=after)
    query.explain, query.language = explain, language
    return Answer(await _threads(request).similar(item, query))


@get("/slates/{id:str}")
async def read_slate(
    request: Call,
    id: Annotated[str, Parameter(description="`id` of a list that was answered")],
    explain: Explain = False,
    language: InLanguage = "en",
) -> ASGIApp:
    """A list as it was shown, the question it answered, and what was done about it since."""
    return Answer(await _threads(request).read(_threads(request).engine.slate, id, explain, language))


@get("/feedback")
async def feedback(
    request: Call,
    hours: Annotated[float, Parameter(gt=0, le=8760, description="how far back, by whole hours")] = 24.0,
) -> ASGIApp:
    """What people do about lists: click rate, conversion, NDCG of what was shown, coverage; by version and source."""
    return Answer(await _threads(request).read(report, _threads(request).engine, hours))


@get("/health/ready")
async def ready(request: Call) -> ASGIApp:
    """Whether it answers, and as of when. 503 while the data folder is being opened."""
    if not caller_of(request.scope).is_trusted:
        request.app.state.door.check_open()
        return Answer(Health(penchant=__version__))
    threads = _threads(request)
    parts = threads.engine.parts
    return Answer(
        Health(
            penchant=__version__,
            version=parts.version.name,
            as_of=parts.as_of,
            items=int(parts.index.known.sum()),
            people=len(parts.log.people),
            texts_waiting=parts.texts.backlog,
            warnings=[*threads.engine.warnings, *request.app.state.door.warnings],
        )
    )


@get("/health/live")
async def live(request: Call) -> ASGIApp:
    """Whether the process answers; also while the data folder is being opened. 503: it must be started again."""
    tenants = request.app.state.door.tenants
    if not tenants.is_alive:
        raise Unavailable("a thread of the server has ended.", way_out="Start the server again; its log says why.")
    return Answer(Life(penchant=__version__, ready=tenants.is_open))


@get("/metrics", include_in_schema=False)
async def metrics(request: Call) -> Response[bytes]:
    """What there is to watch, in Prometheus' text format; docs/operations.md says what each is."""
    state, caller = request.app.state, caller_of(request.scope)
    tenants = state.door.tenants
    if caller.is_operator and isinstance(tenants, Many):
        text = await asyncio.to_thread(telemetry.text_of_all, state.requests, tenants.here)
    else:
        requests = None if caller.tenant else state.requests  # of all tenants together
        threads = tenants.threads if caller.is_operator else opened(request.scope)
        text = await asyncio.to_thread(telemetry.text, requests, threads)
    return Response(text, media_type=telemetry.CONTENT_TYPE)


# -- what they share ---------------------------------------------------------------------------------------------------


async def _sent(request: Call, reader: bodies.Reader[T]) -> bodies.Sent[T]:
    """What a body brings; what of it cannot be read at all is counted with what is refused."""
    measures, body = _threads(request).measures, await request.body()
    try:
        sent = reader.read(body) if len(body) <= bodies.LARGE else await _threads(request).read(reader.read, body)
    except InvalidInput:
        measures.refused += 1
        raise
    measures.refused += len(sent.refused)
    return sent


async def _with_list(request: Call, receipt: Receipt, query: Query) -> Acknowledged:
    acknowledged = Acknowledged(**msgspec.structs.asdict(receipt))
    try:
        acknowledged.slate = await _threads(request).recommend(query)
    except Unavailable:
        return acknowledged
    return acknowledged


def _last_user(sent: bodies.Sent[Event], receipt: Receipt) -> str | None:
    refused = {refusal.index for refusal in receipt.refused}
    for place, event in zip(reversed(sent.places), reversed(sent.things), strict=True):
        if event.kind == "interaction" and place not in refused:
            return event.user
    return None


def _seen(text: str | None) -> Any:
    """`ever`, `allow`, or a window in seconds."""
    if text is None or text in ("ever", "allow"):
        return text
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise InvalidInput(
            "says nothing about what to hide.", field="seen", value=text, way_out="Send `ever`, `allow`, or seconds."
        )
    return seconds


@lru_cache
def _parameters(handler: BaseRouteHandler) -> frozenset[str]:
    return frozenset(handler.parsed_fn_signature.parameters) - {"request"}


async def _refuse_unknown(request: Call) -> None:
    """A misspelt parameter is an error, not the default."""
    if not request.scope["query_string"]:
        return
    known = _parameters(request.route_handler) | _OF_ANY
    for name, value in request.query_params.items():
        if name not in known:
            raise InvalidInput(
                "is not a parameter of this address.",
                field=name,
                value=value,
                way_out=f"The parameters are {', '.join(sorted(known - _OF_ANY)) or 'none'}.",
            )


_HERE = pages.HERE
_DESCRIBED = {
    **amending.DESCRIBED,
    **streaming.DESCRIBED,
    "POST /v1/events": pages.Described(
        f"{_HERE}/v1/events?recommend=10' -d '{json.dumps(pages.CLICK)}'",
        Acknowledged,
        pages.RECEIPT | {"slate": pages.SLATE},
        Event,
        (pages.CLICK, {"events": [pages.CLICK, pages.SPOKEN]}),
    ),
    "PUT /v1/items": pages.Described(
        f"{_HERE}/v1/items' -X PUT -d '{json.dumps(pages.ALIEN)}'", Receipt, pages.RECEIPT, Item, (pages.ALIEN,)
    ),
    "GET /v1/items": pages.Described(f"{_HERE}/v1/items?limit=2'", Page, {"items": [pages.ALIEN], "next": "alien"}),
    "GET /v1/items/{id}": pages.Described(f"{_HERE}/v1/items/alien'", Item, pages.ALIEN),
    "DELETE /v1/items/{id}": pages.Described(f"{_HERE}/v1/items/alien' -X DELETE", Receipt, pages.RECEIPT),
    "PUT /v1/users": pages.Described(
        f"{_HERE}/v1/users' -X PUT -d '{json.dumps(pages.ANN)}'", Receipt, pages.RECEIPT, Profile, (pages.ANN,)
    ),
    "GET /v1/users/{id}": pages.Described(f"{_HERE}/v1/users/ann'", Profile, pages.ANN),
    "DELETE /v1/users/{id}": pages.Described(f"{_HERE}/v1/users/ann' -X DELETE", Receipt, pages.RECEIPT),
    "GET /v1/recommend": pages.Described(f"{_HERE}/v1/recommend?user=ann&where=genres=Horror'", Slate, pages.SLATE),
    "POST /v1/recommend": pages.Described(
        f"{_HERE}/v1/recommend' -d '{json.dumps(pages.ASKED)}'",
        Slate,
        pages.EXPLAINED,
        Query,
        (pages.ASKED, pages.ARRANGED),
        listed=False,
    ),
    "POST /v1/rank": pages.Described(
        f"{_HERE}/v1/rank' -d '{json.dumps(pages.RANKED)}'",
        Slate,
        pages.SLATE,
        bodies.Ranking,
        (pages.RANKED,),
        listed=False,
    ),
    "POST /v1/content": pages.Described(
        f"{_HERE}/v1/content' -d '{json.dumps(pages.WANTED)}'",
        Contents,
        pages.WRITTEN,
        Writing,
        (pages.WANTED,),
        listed=False,
    ),
    "GET /v1/search": pages.Described(f"{_HERE}/v1/search?user=ann&words=space+horror'", Slate, pages.SLATE),
    "GET /v1/similar": pages.Described(f"{_HERE}/v1/similar?item=alien'", Slate, pages.SLATE),
    "GET /v1/slates/{id}": pages.Described(
        f"{_HERE}/v1/slates/{pages.SLATE['id']}?explain=true'", Feedback, pages.FEEDBACK
    ),
    "GET /v1/feedback": pages.Described(f"{_HERE}/v1/feedback?hours=24'", LiveReport, pages.LIVE),
    "GET /health/live": pages.Described(f"{_HERE}/health/live'", Life, {"penchant": __version__, "ready": True}),
    "GET /health/ready": pages.Described(f"{_HERE}/health/ready'", Health, pages.HEALTH),
}


# -- the application ---------------------------------------------------------------------------------------------------


def application(door: Door | None = None) -> Litestar:
    """The application behind a door; but for its life and metrics, it answers 503 until the door's tenants are open."""
    door = door or Door()
    catalogue = [send_items, list_items, read_item, remove_item, send_users, read_user, erase_user]
    asking = [recommend, streaming.stream, recommend_as_asked, rank, compose, search, similar]
    verbs = [send_events, *catalogue, *amending.HANDLERS, *asking, read_slate, feedback]
    app = Litestar(
        [Router("/v1", route_handlers=verbs, before_request=_refuse_unknown), ready, live, metrics, send_script],
        exception_handlers=problems.HANDLERS,
        openapi_config=pages.config(),
        request_max_body_size=MAX_BODY,
        middleware=[door],
        before_send=[door.let_pages_read],
        logging_config=None,
    )
    app.state.door = door
    app.asgi_handler = app.state.requests = Requests(app.asgi_handler)
    pages.describe(app, _DESCRIBED)
    return app
