"""Who may do what: from the key that a request carries to what it opens.

    ingest   send what people do            read    ask for lists, read items
    admin    change items and profiles, erase, see the server's insides
    public   from a browser: send what an anonymous session does, and ask for that session's list
    operator the numbers of the whole server, all tenants together; of nobody's data more than how much there is

Notable: one table says for every address which scopes open it; an address that is not in it needs `admin`. A request
without a good key learns nothing: the same answer whether the key is missing, mistyped, unknown or revoked. Without a
file of keys, everybody may do everything; once there was one, it is never open again until the server is started anew.

Does not know: which engine answers (`serving.tenants`).
"""

from __future__ import annotations

import hmac
import math
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qs

from penchant.errors import Corrupt, Forbidden, InvalidInput, Overloaded, Unauthorized
from penchant.following import Follower, mark
from penchant.serving import keys
from penchant.serving.keys import FILE, Key, Scope
from penchant.serving.rates import Bucket
from penchant.types import Event, Kind, Query

Scopes = frozenset[Scope]
Headers = Iterable[tuple[bytes, bytes]]

_ANYBODY: Scopes = frozenset()
_EVERYTHING: Scopes = frozenset(("ingest", "read", "admin"))
_ADMIN: Scopes = frozenset(("admin",))
_INGEST: Scopes = frozenset(("ingest",))
_SEND: Scopes = frozenset(("ingest", "public"))
_READ: Scopes = frozenset(("read",))
_WATCH: Scopes = frozenset(("admin", "operator"))
_ASK: Scopes = frozenset(("read", "public"))
OPENED_BY: dict[str, Scopes] = {
    "POST /v1/events": _SEND,
    "DELETE /v1/events/{id}": _INGEST,
    "POST /v1/sessions": _SEND,
    "PUT /v1/sessions/{id}": _INGEST,
    "PUT /v1/items": _ADMIN,
    "GET /v1/items": _READ,
    "GET /v1/items/{id}": _READ,
    "PATCH /v1/items/{id}": _ADMIN,
    "DELETE /v1/items/{id}": _ADMIN,
    "PUT /v1/users": _ADMIN,
    "GET /v1/users/{id}": _ADMIN,
    "PATCH /v1/users/{id}": _ADMIN,
    "DELETE /v1/users/{id}": _ADMIN,
    "GET /v1/recommend": _ASK,
    "POST /v1/recommend": _ASK,
    "GET /v1/recommend/stream": _ASK,
    "POST /v1/rank": _READ,
    "POST /v1/content": _READ,
    "GET /v1/search": _READ,
    "GET /v1/similar": _READ,
    "GET /v1/slates/{id}": _READ,
    "GET /v1/feedback": _ADMIN,
    "GET /penchant.js": _ANYBODY,
    "HEAD /penchant.js": _ANYBODY,
    "GET /health/live": _ANYBODY,
    "GET /health/ready": _ANYBODY,
    "GET /metrics": _WATCH,
    "GET /docs": _ANYBODY,
    "GET /docs/openapi.json": _ANYBODY,
    "GET /docs/{path}": _ANYBODY,
}
_OF_ADMIN: frozenset[Kind] = frozenset(("item", "user", "erasure"))
_OF_PUBLIC: frozenset[Kind] = frozenset(("interaction", "impression"))
_PAGE = re.compile(rb"https?://[^/?#]+")
_SESSION = re.compile(r"s\.[0-9a-f]{32}")  # so many that nobody meets another's by guessing
_NOBODY = keys.digest(b"")
_WAY_IN = "Send `Authorization: Bearer KEY`; `penchant key list` says which keys there are. See docs/keys.md."


class Caller(NamedTuple):
    """Who asks, as far as it matters: what the key opens. ``tenant``: whose data; None: nobody's."""

    scopes: Scopes
    tenant: str | None = ""

    @property
    def is_trusted(self) -> bool:
        """Whether it may see what the server is about; a browser may not, nor may one without a key."""
        return bool(self.scopes & _EVERYTHING)

    @property
    def is_operator(self) -> bool:
        """Whether it is to see the whole server, and nobody's data."""
        return "operator" in self.scopes

    def check_events(self, events: Iterable[Event]) -> None:
        """Raises Forbidden when an event is of a kind that needs another scope, or not of an anonymous session."""
        if self.scopes == _EVERYTHING:
            return
        for event in events:
            if "public" in self.scopes:
                self._check_public(event)
            elif event.kind in _OF_ADMIN:
                self.check_scope(_ADMIN)

    def check_query(self, query: Query) -> None:
        """Raises Forbidden where lists are not open to this key, or not this person's."""
        if "public" in self.scopes:
            _check_session(query.user)
        else:
            self.check_scope(_READ)

    def check_scope(self, enough: Scopes) -> None:
        """Raises Forbidden, naming the scopes of which one is enough."""
        if self.scopes.isdisjoint(enough):
            named = " or ".join(f"`{one}`" for one in sorted(enough))
            way_out = f"Ask with a key that has it: `penchant key create --scope {sorted(enough)[0]}`."
            raise Forbidden(f"this needs the scope {named}.", field="scope", value=sorted(self.scopes), way_out=way_out)

    def _check_public(self, event: Event) -> None:
        if event.kind not in _OF_PUBLIC:
            way_out = "Send it from your server, with a key of another scope."
            raise Forbidden("a public key may not send this.", field="kind", value=event.kind, way_out=way_out)
        _check_session(event.user or "")


OPEN = Caller(_EVERYTHING)
_STRANGER = Caller(_ANYBODY, None)


class _Known:
    """A key in use."""

    __slots__ = ("_bucket", "caller", "key")

    def __init__(self, key: Key) -> None:
        tenant = None if "operator" in key.scopes else key.tenant
        self.key, self.caller = key, Caller(frozenset(key.scopes), tenant)
        self._bucket = Bucket(key.rate, time.monotonic()) if key.rate is not None else None

    def count(self) -> None:
        """Count a request. Raises Overloaded."""
        if self._bucket is None:
            return
        seconds = self._bucket.take(time.monotonic())
        if seconds > 0.0:
            raise _too_many(self._bucket.rate, math.ceil(seconds))


def _in_use(key: Key, before: Mapping[str, _Known]) -> _Known:
    """A key that did not change keeps its bucket: reading the file again fills none."""
    known = before.get(key.id)
    return known if known is not None and known.key == key else _Known(key)


class Access:
    """The keys of a data folder as a server uses them. Raises Corrupt for a file that cannot be read."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._known: dict[str, _Known] | None = None
        self._follower: Follower | None = None
        if folder is not None:
            self.reload()

    @property
    def is_open(self) -> bool:
        """Whether everybody may do everything: no key was ever made here."""
        return self._known is None

    @property
    def warnings(self) -> list[str]:
        warning = self._follower.warning if self._follower else None
        return [warning] if warning else []

    @property
    def tenants(self) -> set[str]:
        """Those that some key leads to."""
        return {one.key.tenant for one in (self._known or {}).values()}

    def follow(self) -> None:
        """From now on, keys made or revoked are so here within a second."""
        if self._folder is not None and self._follower is None:
            path = self._folder / FILE
            self._follower = Follower("what was changed about keys is not in use", lambda: mark(path), self.reload)

    def reload(self) -> None:
        """Read the file again. Raises Corrupt, and then the keys in use stay as they are."""
        found = keys.read(self._folder) if self._folder is not None else None
        before = self._known
        if found is not None:
            self._known = {key.id: _in_use(key, before or {}) for key in found if key.revoked is None}
        elif before is not None:
            raise Corrupt("it is gone.", field="keys", value=FILE, way_out="Restore it; without it, start anew.")

    def close(self) -> None:
        if self._follower is not None:
            self._follower.close()

    def admit(self, address: str, headers: Headers, query: bytes) -> Caller:
        """Who asks. ``address``: method and path template.

        Raises Unauthorized, Forbidden, Overloaded; InvalidInput for a secret key in an address.
        """
        if self._known is None:
            return OPEN
        opened_by = OPENED_BY.get(address, _ADMIN)
        token, in_address = _token(headers, query)
        if token is None and opened_by is _ANYBODY:
            return _STRANGER
        known = self._find(token or b"")
        if "public" in known.key.scopes:
            _check_origin(known.key, _origin(headers))
        elif in_address:
            raise _in_address(known.key)
        known.count()
        if opened_by is not _ANYBODY:
            known.caller.check_scope(opened_by)
        return known.caller

    def allows(self, wanted: str, query: bytes) -> bool:
        """Whether pages of this origin may ask with the public key in the address: what a preflight asks."""
        token = _in_query(query)
        known = self._look_up(token) if token else None
        return known is not None and wanted in known.key.origins

    def _find(self, token: bytes) -> _Known:
        known = self._look_up(token)
        if known is None:
            raise Unauthorized("there is no good key with this request.", way_out=_WAY_IN)
        return known

    def _look_up(self, token: bytes) -> _Known | None:
        """An unknown id costs what a wrong secret does, so that the time it takes says nothing either."""
        key_id = keys.id_of(token)
        if key_id is None:
            return None
        known = (self._known or {}).get(key_id)
        wanted = known.key.digest if known is not None else _NOBODY
        return known if hmac.compare_digest(keys.digest(token), wanted) else None


def caller_of(scope: Any) -> Caller:
    """Who asks in this request, as `serving.door` found it."""
    return cast(Caller, scope["penchant.caller"])


def _origin(headers: Headers) -> str | None:
    """Which page asks. A browser leaves `Origin` out towards the very address a page came from: then by `Referer`."""
    sent = dict(headers)
    if b"origin" in sent:
        return sent[b"origin"].decode("latin-1")
    page = _PAGE.match(sent.get(b"referer", b""))
    return page[0].decode("latin-1") if page else None


def _token(headers: Headers, query: bytes) -> tuple[bytes | None, bool]:
    """(the text of a key, whether it stood in the address)."""
    if b"key" in query and (found := _in_query(query)) is not None:
        return found, True
    for name, value in headers:
        if name == b"authorization":
            scheme, _, token = value.partition(b" ")
            if scheme.lower() == b"bearer":
                return token.strip(), False
        elif name == b"x-api-key":
            return value.strip(), False
    return None, False


def _in_query(query: bytes) -> bytes | None:
    found = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("key")
    return found[0].encode("ascii", "replace") if found else None


def _check_session(user: str | None) -> None:
    """Nobody known is fine; a name is not: whoever knows one could read another's list."""
    if user is not None and not _SESSION.fullmatch(user):
        way_out = "Make a session of your own: `s.` and 32 hex digits."
        raise Forbidden("a public key is for anonymous sessions.", field="user", value=user, way_out=way_out)


def _check_origin(key: Key, found: str | None) -> None:
    if found not in key.origins:
        way_out = "Make a public key with --origin for the pages that hold it."
        raise Forbidden("this public key is for other pages.", field="origin", value=found, way_out=way_out)


def _in_address(key: Key) -> InvalidInput:
    return InvalidInput(
        "a secret key does not belong into an address: it ends up in logs.",
        field="key",
        value=key.id,
        way_out=f"Make another one, send it as `Authorization: Bearer KEY`, and `penchant key revoke {key.id}`.",
    )


def _too_many(rate: float, seconds: int) -> Overloaded:
    return Overloaded(
        "more requests than this key may make in a second.",
        field="rate",
        value=rate,
        way_out=f"Ask again in {seconds} s, or make a key with a higher --rate.",
        retry_after=seconds,
    )
