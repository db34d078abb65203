"""What the loops share: kinds of arrays, how they are compiled, what they count in."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic
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

AHEAD = 12  # rows between the one that a loop works on and the one that it asks memory for
LINE = 64  # bytes that memory hands over at once


@intrinsic
def prefetch(_: Any, array: Any, row: Any, byte: Any) -> Any:
    """Ask memory for the line that holds this byte of ``array[row]``, and do not wait for it (`llvm.prefetch`).

    A loop that meets items at random waits for memory more than for anything else; what it will meet is known before.
    Nothing is read: a row that is not there does no harm.
    """

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = signature.args[0]
        its = context.make_array(kind)(context, builder, args[0])
        stride = cgutils.unpack_tuple(builder, its.strides, kind.ndim)[0]
        start = builder.bitcast(its.data, cgutils.voidptr_t)
        where = builder.gep(start, [builder.add(builder.mul(args[1], stride), args[2])])
        read, often, data = (ir.Constant(cgutils.int32_t, value) for value in (0, 3, 1))
        kinds = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, *[cgutils.int32_t] * 3])
        call = cgutils.get_or_insert_function(builder.module, kinds, "llvm.prefetch.p0")
        builder.call(call, [where, read, often, data])
        return context.get_dummy_value()

    return numba.types.void(array, numba.types.intp, numba.types.intp), code
