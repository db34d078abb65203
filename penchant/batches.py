"""Events on their way in, from the check at the door to the receipt."""

from __future__ import annotations

from penchant import intake
from penchant.storage.event_log import Outcome
from penchant.storage.log_reading import Logged
from penchant.types import Erased, Event, Receipt, Refusal


class Batch:
    """What was taken, what was refused, and, once written, what became of each."""

    def __init__(self, events: list[Event], places: list[int], refused: list[Refusal]) -> None:
        self.events, self.places, self.refused = events, places, refused
        self.outcomes: list[Outcome] = []

    @property
    def logged(self) -> list[Logged]:
        """Those that are in the log now."""
        return [one for one in self.outcomes if isinstance(one, Logged)]

    def receipt(self, as_of: int, late: set[int], erased: dict[int, Erased]) -> Receipt:
        """``late``, ``erased``: by offset, as `intake.take` said."""
        receipt = Receipt(accepted=0, as_of=as_of, refused=list(self.refused))
        for place, event, outcome in zip(self.places, self.events, self.outcomes, strict=True):
            if event.kind == "retention":
                continue  # nobody sent it
            if isinstance(outcome, Logged):
                receipt.accepted += 1
                receipt.ids.append(event.id or "")
                if outcome.offset in late:
                    receipt.late.append(event.id or "")
                if outcome.offset in erased:
                    receipt.erased.append(erased[outcome.offset])
            elif outcome == "duplicate":
                receipt.duplicates.append(event.id or "")
            else:
                receipt.refused.append(intake.refusal(place, event, outcome))
        return receipt
