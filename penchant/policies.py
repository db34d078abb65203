"""A policy that is asked for, checked and completed by the one in the settings, before any list is made.

Does not know: items, or how a list follows it (`pipeline.policy`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from msgspec import structs

from penchant import expressions
from penchant.errors import InvalidInput
from penchant.types import Auction, Pin, Policy, Promotion

MOST = 100  # pins, promotions, capped fields or sponsored slots
MOST_BIDS = 1000
_LARGEST = 1e6  # a boost, or a bid


def settled(asked: Policy | None, standard: Policy) -> Policy | None:
    """What is asked for, completed by the standard; None when neither says anything."""
    if asked is None:
        return standard if standard != _SILENT else None
    said = {name: value for name, value in structs.asdict(asked).items() if value is not None}
    whole = structs.replace(standard, **said)
    return whole if whole != _SILENT else None


def for_ranking(asked: Policy | None) -> Policy | None:
    """What is asked for, where all the items are given. Raises InvalidInput for what would leave one out or add one."""
    if asked is None:
        return None
    for name in ("caps", "pins", "promotions", "sponsored"):
        if getattr(asked, name) is not None:
            raise _wrong(
                name, getattr(asked, name), "a ranking keeps all it is given.", "Send diversity and stability alone."
            )
    return structs.replace(asked, previous=asked.previous or ())


def check(policy: Policy) -> Policy:
    """Raises InvalidInput for what makes no sense, by the name of the field."""
    for name in ("diversity", "stability"):
        value = getattr(policy, name)
        if value is not None and not 0.0 <= value <= 1.0:
            raise _wrong(name, value, "must lie in 0..1.", "Send 0 for none of it, and 1 for nothing else.")
    for name, length in (("caps", MOST), ("pins", MOST), ("promotions", MOST), ("previous", MOST_BIDS)):
        if len(getattr(policy, name) or ()) > length:
            raise _wrong(name, len(getattr(policy, name)), f"more than {length}.", "Name fewer.")
    for field, most in (policy.caps or {}).items():
        if most < 1:
            raise _wrong(f"caps.{field}", most, "must be 1 or more.", "Use a filter for what is never to be shown.")
    _check_pins(policy.pins or ())
    for k, promotion in enumerate(policy.promotions or ()):
        _check_promotion(f"promotions[{k}]", promotion)
    if policy.sponsored is not None:
        _check_auction(policy.sponsored)
    return policy


def rules(policy: Policy | None) -> tuple[str, ...]:
    """The rules that it holds."""
    return tuple(one.filter for one in policy.promotions or ()) if policy is not None else ()


def fields(policy: Policy | None) -> set[str]:
    """Fields of items that it reads."""
    read = {name for rule in rules(policy) for name in expressions.fields_read(rule)}
    return read | set(policy.caps or ()) if policy is not None else read


def _check_pins(pins: tuple[Pin, ...]) -> None:
    slots, items = [pin.slot for pin in pins], [pin.item for pin in pins]
    for k, pin in enumerate(pins):
        if pin.slot < 1:
            raise _wrong(f"pins[{k}].slot", pin.slot, "slots begin with 1.", "Send 1 for the first place.")
        if slots.index(pin.slot) < k:
            raise _wrong(f"pins[{k}].slot", pin.slot, "another item is pinned here.", "Give each slot once.")
        if items.index(pin.item) < k:
            raise _wrong(f"pins[{k}].item", pin.item, "is pinned already.", "Pin an item once.")


def _check_promotion(where: str, promotion: Promotion) -> None:
    if not -_LARGEST <= promotion.boost <= _LARGEST:
        raise _wrong(f"{where}.boost", promotion.boost, "is no number to add to a score.", "Send 0.5, say.")
    if promotion.at_least < 0:
        raise _wrong(f"{where}.at_least", promotion.at_least, "must be 0 or more.", "Send 0 for a boost alone.")
    try:
        expressions.parse(promotion.filter)
    except InvalidInput as error:
        raise InvalidInput(
            error.what, field=f"policy.{where}.filter", value=promotion.filter, way_out=error.way_out
        ) from None


def _check_auction(auction: Auction) -> None:
    if not auction.slots or len(auction.slots) > MOST or len(set(auction.slots)) < len(auction.slots):
        raise _wrong("sponsored.slots", auction.slots, f"1 to {MOST} slots, each once.", "Send [3], say.")
    if min(auction.slots) < 1:
        raise _wrong("sponsored.slots", min(auction.slots), "slots begin with 1.", "Send 1 for the first place.")
    if len(auction.bids) > MOST_BIDS:
        raise _wrong("sponsored.bids", len(auction.bids), f"more than {MOST_BIDS}.", "Send the largest ones.")
    for name, value in _amounts(auction):
        if not 0.0 <= value <= _LARGEST or math.isnan(value):
            raise _wrong(name, value, f"must lie in 0..{_LARGEST:g}.", "Send what one action is worth.")


def _amounts(auction: Auction) -> Iterator[tuple[str, float]]:
    yield "sponsored.reserve", auction.reserve
    for item, bid in auction.bids.items():
        yield f"sponsored.bids.{item}", bid


def _wrong(field: str, value: object, what: str, way_out: str) -> InvalidInput:
    return InvalidInput(what, field=f"policy.{field}", value=value, way_out=way_out)


_SILENT = Policy()
