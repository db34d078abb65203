"""The addresses described: an OpenAPI document with examples, and one page that shows it without any script.

Litestar reads the parameters off the handlers. What handlers decode and encode by themselves, bodies and answers, is
added here from the same msgspec types, so that document, page and code cannot drift apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any, NamedTuple, cast

import msgspec
from litestar import Litestar, Request
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import (
    Example,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Reference,
    RequestBody,
    Schema,
)

from penchant import __version__
from penchant.serving.problems import MEDIA_TYPE, Problem
from penchant.types import Event

_COMPONENT = "#/components/schemas/{name}"
_ERRORS = (
    "400 not JSON; 401 no good key; 403 a key of another scope; 404 not there; 405; 413 too large; 422 not valid; "
    "429 too much waits, or more than the key's rate (Retry-After); 503 opening or stopping (Retry-After); "
    "507 a ceiling is reached"
)
HERE = "curl 'http://127.0.0.1:7461"
SLATE: dict[str, Any] = {
    "items": [
        {
            "item": "aliens",
            "score": 1.83,
            "sources": ["dense", "transitions"],
            "features": {"text": 0.71, "transitions": 0.12},
        }
    ],
    "as_of": 4181,
    "version": "v0",
    "time": 1767225600.0,
    "user": "ann",
    "user_as_of": 4181,
    "retrieved": 312,
    "id": "19b7700000000000",
}
REASON = {
    "text": "Because you looked at Alien (1979): both are Horror and Sci-Fi.",
    "rank": 1,
    "moved": [
        {
            "event": "6f1c2a-17",
            "action": "click",
            "effect": 0.652113,
            "through": "text",
            "item": "alien",
            "title": "Alien (1979)",
            "shared": {"genres": ["Horror", "Sci-Fi"]},
        }
    ],
    "rank_without": 7,
}
EXPLAINED = SLATE | {"items": [SLATE["items"][0] | {"terms": {"text": 1.07, "transitions": 0.76}, "reason": REASON}]}
FEEDBACK = {
    "slate": SLATE | {"items": [SLATE["items"][0] | {"reason": REASON | {"as_of": 4190}}]},
    "query": {"user": "ann", "time": 1767225600.0, "limit": 10, "track": True},
    "done": [{"item": "aliens", "place": 1, "actions": {"click": 1767225612.5}, "reward": 1.0}],
    "reward": 1.0,
    "until": 1767227400.0,
    "settled": False,
}
LIVE = {
    "hours": 24.0,
    "waiting": 812,
    "unjoined": 0,
    "live": [
        {
            "version": "v0",
            "slates": 5210,
            "items": 52100,
            "clicks": 1875,
            "conversions": 102,
            "ctr": 0.036,
            "ctr_interval": [0.0344, 0.0376],
            "conversion": 0.00196,
            "reward": 0.0371,
            "ndcg": 0.612,
            "coverage": 0.41,
        }
    ],
}
RECEIPT = {"accepted": 1, "as_of": 4181, "ids": ["6f1c2a-17"]}
HEALTH = {
    "penchant": __version__,
    "version": "v0",
    "as_of": 4181,
    "items": 3883,
    "people": 6040,
    "texts_waiting": 0,
    "warnings": [],
}
CLICK = {"user": "ann", "action": "click", "item": "alien"}
SPOKEN = {"user": "ann", "action": "search", "words": "a quiet film about space"}
ALIEN = {"id": "alien", "fields": {"title": "Alien", "genres": ["Horror", "Sci-Fi"], "year": 1979}}
ASKED = {
    "user": "ann",
    "context": {"device": "tv"},
    "filter": 'year < 2000 and "Horror" in genres and not seen(30d)',
    "explain": True,
}
ARRANGED = {
    "user": "ann",
    "policy": {
        "diversity": 0.3,
        "caps": {"genres": 3},
        "pins": [{"item": "alien", "slot": 1}],
        "promotions": [{"filter": "year > 1985", "boost": 0.5, "at_least": 1}],
        "sponsored": {"slots": [3], "bids": {"aliens": 0.8}},
    },
}
RANKED = {"user": "ann", "items": ["alien", "aliens"]}
WANTED = {"user": "ann", "items": ["aliens"], "kind": "blurb", "tone": "plain"}
WRITTEN = {
    "contents": [
        {
            "item": "aliens",
            "text": "You looked at Alien (1979), and Aliens (1986) goes with it: both are Horror and Sci-Fi.",
            "writer": "template",
            "facts": {"title": ["Aliens (1986)"], "genres": ["Horror", "Sci-Fi"]},
            "events": ["6f1c2a-17"],
        }
    ],
    "as_of": 4181,
}
ANN = {"id": "ann", "fields": {"age": 34, "speaks": ["en", "fr"]}}
_PROBLEM = {
    "type": "urn:penchant:invalid-input",
    "title": "Invalid input",
    "status": 422,
    "detail": "is not a known action.",
    "field": "action",
    "value": "'clik'",
    "way_out": "Use one of click, rate, play, or add [actions.NAME] to penchant.toml.",
    "request": "9f1c02ab-17",
}
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2430 }
code, pre { font: 14px/1.45 ui-monospace, monospace } pre { background: #f4f5f7; padding: .8rem; overflow-x: auto }
h2 { margin-top: 2.5rem; border-top: 1px solid #d8dce2; padding-top: 1rem } td { padding: .15rem 1rem .15rem 0 }
td { vertical-align: top }
@media (prefers-color-scheme: dark) { body { background: #14181f; color: #dde3ea } pre { background: #1f2630 } }
"""


class Described(NamedTuple):
    """An address: a call to show, the type and an example of the answer, and of the body where there is one.

    ``answers``: a record, or a kind of text, which says what it is in the first line of its docstring.
    """

    call: str
    answers: type
    answer: dict[str, Any] | str
    takes: type | None = None
    bodies: tuple[object, ...] = ()
    listed: bool = True  # the body may be a list of such, too
    media_type: str = "application/json"


def config() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Penchant",
        version=__version__,
        description="Real-time personalization that understands content. "
        "A server that has keys is asked with `Authorization: Bearer KEY` (docs/keys.md).",
        path="/docs",
        use_handler_docstrings=True,
        render_plugins=[_Page(path="/"), JsonRenderPlugin(path="/openapi.json")],
    )


def describe(app: Litestar, described: dict[str, Described]) -> None:
    """Add calls, bodies, answers and errors to the document; ``described`` goes by method and path."""
    document = app.openapi_schema
    types = [kind for one in described.values() for kind in (one.answers, one.takes) if kind and not _is_text(kind)]
    _, schemas = msgspec.json.schema_components([*dict.fromkeys(types), Problem], ref_template=_COMPONENT)
    document.components.schemas = cast("dict[str, Schema]", schemas)
    for name, one in described.items():
        method, _, path = name.partition(" ")
        _complete(getattr((document.paths or {})[path], method.lower()), one)


def _complete(operation: Operation, one: Described) -> None:
    operation.description = f"{operation.description}\n\n{one.call}"
    operation.responses = {
        "200": OpenAPIResponse(_first_line(one.answers), content=_content(one.media_type, one.answers, one.answer)),
        "default": OpenAPIResponse(_ERRORS, content=_content(MEDIA_TYPE, Problem, _PROBLEM)),
    }
    if one.takes is not None:
        content = _content("application/json", one.takes, *one.bodies)
        if one.listed:
            content["application/json"].schema = _one_or_many(one.takes)
        operation.request_body = RequestBody(content, required=True)


def _content(media_type: str, kind: type, *examples: object) -> dict[str, OpenAPIMediaType]:
    shown: dict[str, Any] = {str(place): Example(value=one) for place, one in enumerate(examples, 1)}
    named = Reference(_COMPONENT.format(name=kind.__name__))
    schema = Schema(type=OpenAPIType.STRING) if _is_text(kind) else named
    return {media_type: OpenAPIMediaType(schema, examples=shown)}


def _one_or_many(kind: type) -> Schema:
    alone = Reference(_COMPONENT.format(name=kind.__name__))
    listed = Schema(type=OpenAPIType.ARRAY, items=alone)
    wrapped = Schema(type=OpenAPIType.OBJECT, properties={"events": listed}, required=["events"])
    return Schema(one_of=[alone, listed, wrapped] if kind is Event else [alone, listed])


def _is_text(kind: type) -> bool:
    return issubclass(kind, str)


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]


# -- the page ----------------------------------------------------------------------------------------------------------


class _Page(OpenAPIRenderPlugin):
    """The document as plain HTML: nothing is loaded from anywhere, so it can be read where there is no network."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        info = openapi_schema["info"]
        operations = [
            (f"{method.upper()} {path}", operation)
            for path, item in openapi_schema["paths"].items()
            for method, operation in item.items()
        ]
        head = f"<!doctype html><html lang=en><meta charset=utf-8><title>{info['title']}</title><style>{_STYLE}</style>"
        intro = f"<h1>{info['title']} {info['version']}</h1><p>{escape(info['description'])} "
        links = "<a href=/docs/openapi.json>OpenAPI document</a>, <a href=/health/ready>state</a>, "
        links += "<a href=/metrics>metrics</a></p>"
        body = "".join(part for name, operation in operations for part in _section(name, operation))
        return f"{head}{intro}{links}{body}{_problem()}</html>".encode()


def _section(name: str, operation: dict[str, Any]) -> Iterator[str]:
    said, _, call = operation["description"].rpartition("\n\n")
    yield f"<h2><code>{escape(name)}</code></h2><p>{_code(said)}</p><pre>{escape(call)}</pre><table>"
    for one in operation.get("parameters", []):
        needed = "needed" if one.get("required") else _default(one["schema"])
        yield f"<tr><td><code>{one['name']}</code><td>{needed}<td>{_code(one.get('description') or '')}"
    yield "</table>"
    body = operation.get("requestBody", {"content": {}})
    takes = "takes, or a list of such" if "oneOf" in json.dumps(body) else "takes"
    for example in _examples(body):
        yield f"<p>{takes}:</p>{example}"
    for example in _examples(operation["responses"]["200"]):
        yield f"<p>answers:</p>{example}"


def _problem() -> str:
    return (
        f"<h2>When something is wrong</h2><p>{escape(_ERRORS)}</p><pre>{escape(json.dumps(_PROBLEM, indent=2))}</pre>"
    )


def _default(schema: dict[str, Any]) -> str:
    return f"{schema['default']}" if schema.get("default") is not None else ""


def _examples(spoken: dict[str, Any]) -> Iterator[str]:
    for content in spoken["content"].values():
        for example in content["examples"].values():
            value = example["value"]
            text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
            yield f"<pre>{escape(text)}</pre>"


def _code(text: str) -> str:
    """Text with what stands between backticks set as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))
