"""Reading integers out of octets inside kernels. Widened before shifting: uncompiled, np.uint8(18) << 8 is 0."""

import numpy as np

from peerburst.capture.kernels import part


@part
def be16(octets, at):  # type: ignore[no-untyped-def]
    return (np.int64(octets[at]) << 8) | np.int64(octets[at + 1])


@part
def le16(octets, at):  # type: ignore[no-untyped-def]
    return np.int64(octets[at]) | (np.int64(octets[at + 1]) << 8)


@part
def be32(octets, at):  # type: ignore[no-untyped-def]
    return (be16(octets, at) << 16) | be16(octets, at + 2)


@part
def le32(octets, at):  # type: ignore[no-untyped-def]
    return le16(octets, at) | (le16(octets, at + 2) << 16)


@part
def be64(octets, at):  # type: ignore[no-untyped-def]
    return (np.uint64(be32(octets, at)) << np.uint64(32)) | np.uint64(be32(octets, at + 4))


@part
def read16(octets, at, big_endian):  # type: ignore[no-untyped-def]
    return be16(octets, at) if big_endian else le16(octets, at)


@part
def read32(octets, at, big_endian):  # type: ignore[no-untyped-def]
    return be32(octets, at) if big_endian else le32(octets, at)
