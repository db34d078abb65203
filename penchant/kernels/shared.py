"""What the loops share: kinds of arrays, how they are compiled, what they count in."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bytes = NDArray[np.uint8]

WINDOW = 5  # events before one that a transition is counted from
TRANSITION_UNIT = 1000  # a transition from the event just before counts so much; weights below are integers of it

jit: Any = numba.njit(cache=True, nogil=True, fastmath=False, boundscheck=False)
fast: Any = numba.njit(cache=True, nogil=True, fastmath=True)  # sums may be reordered: a product has no order
