"""Every error Penchant raises on purpose.

    PenchantError
    ├── InvalidInput      what a caller sent is wrong: names the field, the value and the way out
    ├── NotFound          an item, event or file that was asked for by name is not there
    ├── Unauthorized      no key, or none that is good; it does not say which
    ├── Forbidden         a good key that may not do this: names the scope that may
    ├── Unavailable       something needed is missing or locked; trying again may help
    │   ├── Overloaded    more is asked than is taken on, or than a key may; says in how many seconds to come back
    │   └── Full          a ceiling of the settings is reached; what would grow is refused, all else goes on
    └── Corrupt           what is on disk is incomplete or foreign; it is refused, never repaired in silence

Each carries the three things a person needs (which field, which value, what to do) as attributes, so
that the HTTP layer can send them as problem+json and the command line can print them, without parsing.
"""

from __future__ import annotations

import re

_SHOWN = 80
_SECRET = re.compile(r"(pk_[0-9a-f]{8}_)\w+")  # a key of `serving.keys`, wherever somebody put it; its id may be told


class PenchantError(Exception):
    """Base of all; ``status`` is the HTTP status the server answers with."""

    status = 500
    title = "Penchant failed"

    def __init__(self, what: str, *, field: str = "", value: object = None, way_out: str = "") -> None:
        self.what, self.field, self.way_out = _hidden(what), _hidden(field), _hidden(way_out)
        self.value = shown(value)
        super().__init__(str(self))

    def __str__(self) -> str:
        where = f"{self.field}={self.value}: " if self.field else ""
        out = f" {self.way_out}" if self.way_out else ""
        return f"{where}{self.what}{out}"


class InvalidInput(PenchantError):
    status = 422
    title = "Invalid input"


class NotFound(PenchantError):
    status = 404
    title = "Not found"


class Unauthorized(PenchantError):
    status = 401
    title = "Unauthorized"


class Forbidden(PenchantError):
    status = 403
    title = "Forbidden"


class Unavailable(PenchantError):
    status = 503
    title = "Unavailable"


class Overloaded(Unavailable):
    """``retry_after``: seconds after which what waits now should be done."""

    status = 429
    title = "Overloaded"

    def __init__(
        self, what: str, *, retry_after: int = 1, field: str = "", value: object = None, way_out: str = ""
    ) -> None:
        self.retry_after = retry_after
        super().__init__(what, field=field, value=value, way_out=way_out)


class Full(Unavailable):
    status = 507
    title = "Full"


class Corrupt(PenchantError):
    status = 500
    title = "Corrupt or foreign data"


def shown(value: object) -> str:
    """The value as a person would recognise it, cut to a length that fits a log line; never a secret of a key."""
    text = _hidden(repr(value))
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _hidden(text: str) -> str:
    """What somebody sent in a wrong place must not reach a log or an answer as it is."""
    return _SECRET.sub(r"\1…", text)
