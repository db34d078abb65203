"""Keys as they are kept: one file beside the data, which holds of each secret only its hash.

    pk_<id>_<secret><check>      8, 64 and 8 hex digits

Notable: a secret is 256 random bits, so there is nothing to guess from a dictionary, and SHA-256 without salt or
stretching is as good as the slowest hash, at a microsecond a request. ``check`` is a CRC-32 of what stands before it: a
mistyped or truncated key is told from an unknown one without looking anything up, and scanners of source code can tell
a key from what looks like one. The file is replaced as a whole, so a server that reads it never sees half of it.

Does not know: HTTP, and what a scope opens (`serving.access`).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import time
import zlib
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
from msgspec import Struct, field, structs

from penchant.errors import Corrupt, InvalidInput, NotFound

FILE = "keys.json"
Scope = Literal["ingest", "read", "admin", "public", "operator"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
_MOST_PER_SECOND = 1e6
_ORIGIN = re.compile(r"https?://[a-z0-9.\-\[\]:]*[a-z0-9\]]")
_TEXT = re.compile(rb"pk_([0-9a-f]{8})_[0-9a-f]{72}")
_CHECK = 8
_WHICH = f"Name one or more of {', '.join(SCOPES)}."
_encoder = msgspec.json.Encoder()


class Key(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A key without its secret. ``tenant`` "": the data folder itself; ``rate``: requests a second, None: any number.

    ``created``, ``revoked``: Unix seconds.
    """

    id: str
    digest: str
    scopes: tuple[Scope, ...]
    tenant: str = ""
    origins: tuple[str, ...] = ()
    rate: float | None = None
    note: str = ""
    created: float = 0.0
    revoked: float | None = None


class _File(Struct, forbid_unknown_fields=True):
    keys: list[Key] = field(default_factory=list)


_decoder = msgspec.json.Decoder(_File)


# -- the text of a key -------------------------------------------------------------------------------------------------


def id_of(text: bytes) -> str | None:
    """The id in the text of a key; None where the text is not whole, or no key at all."""
    found = _TEXT.fullmatch(text)
    if found is None or _check(text[:-_CHECK]) != text[-_CHECK:]:
        return None
    return found[1].decode()


def digest(text: bytes) -> str:
    """SHA-256 of the whole text, in hex."""
    return hashlib.sha256(text).hexdigest()


def _check(text: bytes) -> bytes:
    return b"%08x" % zlib.crc32(text)


def _new_id(taken: Container[str]) -> str:
    while (key_id := secrets.token_hex(4)) in taken:
        pass
    return key_id


def _new_text(key_id: str) -> bytes:
    text = f"pk_{key_id}_{secrets.token_hex(32)}".encode()
    return text + _check(text)


# -- the file ----------------------------------------------------------------------------------------------------------


def read(folder: Path) -> list[Key] | None:
    """All keys of a data folder, revoked ones too; None where there is no file. Raises Corrupt."""
    try:
        return _decoder.decode((folder / FILE).read_bytes()).keys
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, OSError) as error:
        way_out = "Restore it; it is written by `penchant key` alone."
        raise Corrupt(f"it cannot be read: {error}.", field="keys", value=FILE, way_out=way_out) from None


def create(folder: Path, scopes: Iterable[str], **more: Any) -> tuple[Key, str]:
    """Make a key: (what is kept of it, its text, which is nowhere else). ``more``: fields of `Key`.

    Raises InvalidInput for scopes, origins or a rate that make no sense.
    """
    with _changing(folder) as keys:
        key_id = _new_id({key.id for key in keys})
        text = _new_text(key_id)
        key = Key(id=key_id, digest=digest(text), scopes=_named(scopes), created=time.time(), **more)
        _check_sense(key)
        keys.append(key)
    return key, text.decode()


def revoke(folder: Path, named: str) -> Key:
    """Revoke a key by its id, or by its text. Raises NotFound, InvalidInput for a text that is not whole."""
    key_id = id_of(named.encode()) if named.startswith("pk_") else named
    if key_id is None:
        raise InvalidInput("is mistyped or truncated.", field="key", value=named, way_out="Name its id, the 8 digits.")
    with _changing(folder) as keys:
        for place, key in enumerate(keys):
            if key.id == key_id:
                keys[place] = _revoked(key)
                return keys[place]
    raise NotFound("there is no such key.", field="key", value=named, way_out="See `penchant key list`.")


def revoke_all(folder: Path, tenant: str) -> int:
    """Revoke the keys of a tenant; how many were good until now."""
    with _changing(folder) as keys:
        good = [place for place, key in enumerate(keys) if key.tenant == tenant and key.revoked is None]
        for place in good:
            keys[place] = _revoked(keys[place])
        return len(good)


def _revoked(key: Key) -> Key:
    return key if key.revoked is not None else structs.replace(key, revoked=time.time())


@contextmanager
def _changing(folder: Path) -> Iterator[list[Key]]:
    """The keys, to be changed in place and written; two commands at once wait for each other."""
    if not folder.is_dir():
        way_out = "Name one with --data, or begin with `penchant init`."
        raise NotFound("there is no data folder here.", field="data", value=str(folder), way_out=way_out)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        before = read(folder)
        keys = list(before or ())
        yield keys
        if keys != before:
            _write(folder, keys)
            os.fsync(handle)
    finally:
        os.close(handle)


def _write(folder: Path, keys: list[Key]) -> None:
    draft = folder / f"{FILE}.new"
    draft.unlink(missing_ok=True)  # what a kill left, whatever its mode
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.format(_encoder.encode(_File(keys))) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / FILE)


def _named(scopes: Iterable[str]) -> tuple[Scope, ...]:
    """Each once. Raises InvalidInput for what is no scope, and for none."""
    named = set(scopes)
    for unknown in sorted(named.difference(SCOPES)):
        raise InvalidInput("is no scope.", field="scope", value=unknown, way_out=_WHICH)
    if not named:
        raise InvalidInput("a key needs a scope.", field="scope", value=(), way_out=_WHICH)
    return tuple(one for one in SCOPES if one in named)


def _check_sense(key: Key) -> None:
    _check_public(key)
    _check_operator(key)
    for origin in key.origins:
        if not _ORIGIN.fullmatch(origin):
            way_out = "Write it as the browser does: https://shop.example, without a path or a slash at the end."
            raise InvalidInput("is no origin.", field="origin", value=origin, way_out=way_out)
    if key.rate is not None and not 0 < key.rate <= _MOST_PER_SECOND:  # nor is a NaN
        raise InvalidInput(
            "is no rate.", field="rate", value=key.rate, way_out=f"Requests a second, up to {_MOST_PER_SECOND:g}."
        )


def _check_operator(key: Key) -> None:
    """Who watches over all tenants sees into none, and nobody of a tenant sees what all do together."""
    if "operator" not in key.scopes:
        return
    if key.scopes != ("operator",):
        way_out = "Make two keys: who runs the server need not see anybody's data."
        raise InvalidInput("`operator` stands alone.", field="scope", value=key.scopes, way_out=way_out)
    if key.tenant:
        way_out = "Leave --tenant out: it is for the server as a whole."
        raise InvalidInput("an operator's key is of no tenant.", field="tenant", value=key.tenant, way_out=way_out)


def _check_public(key: Key) -> None:
    """What stands in a page can be read by anybody, so it opens nothing else; and it says which pages."""
    public = "public" in key.scopes
    if public and key.scopes != ("public",):
        way_out = "Make two keys: what a browser holds, everybody can read."
        raise InvalidInput("`public` stands alone.", field="scope", value=key.scopes, way_out=way_out)
    if public and not key.origins:
        way_out = "Name the origins of your pages: --origin https://shop.example."
        raise InvalidInput("a public key is bound to origins.", field="origin", value=(), way_out=way_out)
    if key.origins and not public:
        way_out = "Leave --origin out, or make a key with --scope public."
        raise InvalidInput("only a public key is bound to origins.", field="origin", value=key.origins, way_out=way_out)
