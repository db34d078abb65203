"""Which values of an event's context have a popularity of their own: those that the settings declare, as bits.

What is not declared is nothing: so the tables stay as wide as the settings say, whatever applications send, and no
value that only one person ever sent is kept anywhere but in the log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from penchant.types import Scalar


class Contexts:
    """Numbers the declared values; ``names[k]`` is the one of bit k."""

    def __init__(self, declared: Mapping[str, Sequence[Scalar]]) -> None:
        pairs = [(field, value) for field, values in declared.items() for value in values]
        self.names = [f"{field}={value}" for field, value in pairs]
        self._bits = {_key(field, value): 1 << k for k, (field, value) in enumerate(pairs)}

    def bits(self, context: Mapping[str, Scalar]) -> int:
        """The bits of a context; 0 where nothing of it is declared."""
        return sum(self._bits.get(_key(field, value), 0) for field, value in context.items()) if self._bits else 0


def _key(field: str, value: Scalar) -> tuple[str, bool, Scalar]:
    return field, isinstance(value, bool), value  # true is not 1 here
