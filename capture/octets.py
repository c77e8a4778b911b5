"""Reading integers out of octets inside kernels.

A word is one unaligned load with one bounds check instead of one for each octet: measured 0.6 ns against 2.9 ns. numba
has no such load, so it is made of LLVM's. Callers compare lengths before they read; a read that would leave the array
all the same gives 0, never memory that is not ours.
"""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from peerburst.capture.kernels import NUMBA_SETTINGS, part


def _loader(bits: int) -> Any:
    """An intrinsic (octets, at) -> unsigned word in little-endian order."""

    @intrinsic
    def load(context, octets, at):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            word = ir.IntType(bits)
            pointer = builder.bitcast(builder.gep(array.data, [arguments[1]]), word.as_pointer())
            loaded = builder.load(pointer)
            loaded.align = 1
            return loaded

        return getattr(types, f"uint{bits}")(octets, types.int64), generate

    return load


def _reader(bits: int) -> Any:
    """What `_loader` does, uncompiled."""

    def load(octets, at):  # type: ignore[no-untyped-def]
        return int.from_bytes(octets[at : at + bits // 8].tobytes(), "little")

    return load


_make = _reader if NUMBA_SETTINGS.DISABLE_JIT else _loader
_load16, _load32 = _make(16), _make(32)


@part
def le16(octets, at):  # type: ignore[no-untyped-def]
    if at < 0 or at + 2 > octets.size:
        return np.int64(0)
    return np.int64(_load16(octets, at))


@part
def le32(octets, at):  # type: ignore[no-untyped-def]
    if at < 0 or at + 4 > octets.size:
        return np.int64(0)
    return np.int64(_load32(octets, at))


@part
def _swapped16(word):  # type: ignore[no-untyped-def]
    return ((word & 0xFF) << 8) | (word >> 8)


@part
def _swapped32(word):  # type: ignore[no-untyped-def]
    return (_swapped16(word & 0xFFFF) << 16) | _swapped16(word >> 16)


@part
def be16(octets, at):  # type: ignore[no-untyped-def]
    return _swapped16(le16(octets, at))


@part
def be32(octets, at):  # type: ignore[no-untyped-def]
    return _swapped32(le32(octets, at))


@part
def be64(octets, at):  # type: ignore[no-untyped-def]
    return (np.uint64(be32(octets, at)) << np.uint64(32)) | np.uint64(be32(octets, at + 4))


@part
def read16(octets, at, big_endian):  # type: ignore[no-untyped-def]
    word = le16(octets, at)
    return _swapped16(word) if big_endian else word


@part
def read32(octets, at, big_endian):  # type: ignore[no-untyped-def]
    word = le32(octets, at)
    return _swapped32(word) if big_endian else word
