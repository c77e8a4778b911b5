"""Lines of memory asked for before they are needed.

It matters once a table is larger than the processor's caches: a flow table of 500,000 flows took 330 ns a packet
without, and 140 ns with lines asked for ahead (docs/benchmarks.md).
"""

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from peerburst.capture.compiled.kernel import NUMBA_SETTINGS

TO_READ, TO_WRITE, ANY_CACHE_LEVEL = 0, 1, 3

Prefetch = Callable[[Any, Any], None]  # an array, and a whole number


def _prefetcher(access: int) -> Prefetch:
    @intrinsic
    def prefetch(context: Any, array: Any, at: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
            byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
            call = builder.module.declare_intrinsic(
                "llvm.prefetch", [byte], ir.FunctionType(ir.VoidType(), [byte, word, word, word])
            )
            pointer = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
            builder.call(call, [pointer, word(access), word(ANY_CACHE_LEVEL), word(1)])
            return context.get_dummy_value()

        return types.void(array, types.int64), generate

    return cast(Prefetch, prefetch)


def _nothing(array: Any, at: int) -> None:
    """What prefetching does, uncompiled."""


# (array, at): ask for the cache line of array[at], to read it only or to write it too, which takes it from other
# cores. Hints: any `at` will do, nothing is read that is not there.
prefetch: Prefetch = _nothing if NUMBA_SETTINGS.DISABLE_JIT else _prefetcher(TO_READ)
prefetch_to_write: Prefetch = _nothing if NUMBA_SETTINGS.DISABLE_JIT else _prefetcher(TO_WRITE)
