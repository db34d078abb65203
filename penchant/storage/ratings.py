"""Who gave which rating: sums, everybody's ratings, and each item's last raters; and what similar people foretell.

As with counts, a person's share is a function of that person's own events in log order, and can be taken out again.
Values are float32 and summed in float64, which is exact as long as they are of like size, as ratings are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penchant import kernels
from penchant.kernels import AUDIENCE
from penchant.storage.rows import new_rows, repacked, rows_from_arrays, rows_to_arrays, taller
from penchant.storage.state_store import grown

Doubles = NDArray[np.float64]
Longs = NDArray[np.int64]


class Ratings:
    """Tables over items and people, numbered as in the log."""

    def __init__(self) -> None:
        self.rated, self.raters = new_rows("rated"), new_rows("raters")
        self.sums, self.ratings = np.zeros(0), np.zeros(0, np.int32)
        self._whole = np.zeros(2)  # of all items: the sum of the values, and how many
        self._own = np.zeros(0)

    def ensure(self, people: int, items: int) -> None:
        if items > len(self.sums):
            self.sums, self.ratings = grown(self.sums, items), grown(self.ratings, items)
            self.raters = taller(self.raters, items)
        if people > len(self.rated.start):
            self.rated = taller(self.rated, people)

    def add(self, people: Longs, items: Longs, values: Doubles, times: Doubles) -> None:
        """Take in ratings of log order; room for them is there."""
        done = 0
        while done < len(items):
            part = slice(done, None)
            done += kernels.rate(self.rated, self.raters, self.sums, self.ratings, self._whole, people[part],
                                 items[part], values[part], times[part])  # fmt: skip
            if done < len(items):
                self.rated = repacked("rated", self.rated, int(2 * self.rated.size.max(initial=0)) + 8)
                self.raters = repacked("raters", self.raters, 2 * AUDIENCE)

    def take_out(self, person: int) -> bool:
        """Take a person's whole share out again; whether what is left is not as if it had never been."""
        return person < len(self.rated.start) and bool(
            kernels.unrate(self.rated, self.raters, self.sums, self.ratings, self._whole, person)
        )

    @property
    def any(self) -> bool:
        """Whether anybody ever rated anything."""
        return bool(self._whole[1] > 0)

    def foretell(self, person: int, items: Longs) -> Doubles | None:
        """Ratings [n] that a person would give to items [n]; None where nobody ever rated anything.

        ``person`` may be unknown (-1): then they are the items' means, drawn towards the mean of all.
        """
        if not self.any or not len(items):
            return None
        mean = float(self._whole[0] / self._whole[1])
        self.ensure(0, int(items.max()) + 1)
        if len(self._own) < len(self.sums):
            self._own = np.full(len(self.sums), np.nan)
        out, known = np.empty(len(items)), 0 <= person < len(self.rated.start)
        kernels.foretell(
            self.rated,
            self.raters,
            self.sums,
            self.ratings,
            mean,
            person if known else -1,
            items,
            self._own,
            out,
        )
        return out

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "rating_sums": self.sums,
            "rating_ratings": self.ratings,
            **rows_to_arrays("rated", self.rated),
            **rows_to_arrays("raters", self.raters),
        }

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.sums, self.ratings = arrays["rating_sums"], arrays["rating_ratings"]
        self._whole = np.array([self.sums.sum(), self.ratings.sum()])
        self.rated, self.raters = rows_from_arrays("rated", arrays), rows_from_arrays("raters", arrays)
