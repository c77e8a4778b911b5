"""The compiled kernels' decorator and their cache.

numba's own cache looks only at the file of the function it compiled: a changed constant or callee in another file
keeps the stale machine code. So our cache folder is named after a fingerprint of every kernel source and of the
versions that shape machine code. It lies in the user's cache folder: the install folder may be read-only.
"""

import contextlib
import functools
import hashlib
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import llvmlite  # type: ignore[import-untyped]
import numba
import numpy as np
import platformdirs
from numba import njit
from numba.core.caching import FunctionCache
from numba.core.runtime.nrt import rtsys

P = ParamSpec("P")
R = TypeVar("R")

# Its settings are made at run time, so no type checker knows them.
NUMBA_SETTINGS: Any = numba.config

_PACKAGE = Path(__file__).resolve().parents[2]
COMPILED_MARK = "compiled"
ANNOUNCEMENT = "peerburst: compiling packet kernels, once per installation (about 25 seconds)"


def _kernel_sources() -> list[Path]:
    """Every module a kernel may come from: all of `capture` and `analysis`, which are small to hash."""
    return sorted(path for folder in ("analysis", "capture") for path in (_PACKAGE / folder).rglob("*.py"))


@functools.cache
def fingerprint() -> str:
    """A short name for this very installation of the kernel sources, the versions and the processor."""
    digest = hashlib.sha256()
    for path in _kernel_sources():  # by their places: folders have files of equal names
        digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    here = str(Path(__file__).resolve().parent)  # numba keeps what it compiles by the path of its source
    facts = (
        here,
        numba.__version__,
        llvmlite.__version__,
        np.__version__,
        sys.version,
        platform.machine(),
        _processor(),
    )
    digest.update("\0".join(facts).encode())
    return digest.hexdigest()[:16]


def _processor() -> str:
    """The processor as LLVM names it: machine code made for one must not meet another on a shared home folder."""
    from llvmlite import binding

    return f"{binding.get_host_cpu_name()} {binding.get_host_cpu_features().flatten()}"


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


@functools.cache
def cache_folder() -> Path:
    """Where machine code is kept: the user's cache folder or, where that is not writable, a private temporary one."""
    folder = Path(platformdirs.user_cache_dir("peerburst", appauthor=False)) / f"kernels-{fingerprint()}"
    if _writable(folder):
        return folder
    return Path(tempfile.mkdtemp(prefix="peerburst-kernels-"))


@contextlib.contextmanager
def _numba_cache_at(folder: Path) -> Iterator[None]:
    """Point numba at our folder while one function is decorated; the program that imported us keeps its own setting."""
    before = NUMBA_SETTINGS.CACHE_DIR
    NUMBA_SETTINGS.CACHE_DIR = str(folder)
    try:
        yield
    finally:
        NUMBA_SETTINGS.CACHE_DIR = before


# Without reference counts. An array that a compiled function passes on is counted up and down, atomically, each time:
# half of the time a packet spent in the flow table, and more where two threads count the same array. Such a function
# can make no array of its own; numba says so when it compiles one that does.
def _compiled(
    function: Callable[P, R], *, is_entry: bool = False, is_counted: bool = False, is_inlined: bool = False
) -> Callable[P, R]:
    options: dict[str, Any] = {"boundscheck": True, "nogil": True, "forceinline": is_inlined}
    if not is_counted:
        options["_nrt"] = False  # numba's own name for it, which its types do not tell
    with _numba_cache_at(cache_folder()):
        made: Any = njit(**options)(function)
        if is_entry and not NUMBA_SETTINGS.DISABLE_JIT:
            made._cache = _Cache(function)  # type: ignore[no-untyped-call]
    return cast("Callable[P, R]", made)


class _Cache(FunctionCache):
    """numba's cache, which takes up what was compiled before without making the compiler ready.

    That takes a tenth of a second at every start, and machine code needs the runtime alone. Where nothing is found,
    compiling makes itself ready, as it does without any cache.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)  # type: ignore[no-untyped-call]


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile an entry point called from Python: cached, bounds checked (captures are hostile), without the GIL.

    It makes no arrays: what it fills and works in, the caller allocates.
    """
    return _compiled(function, is_entry=True)


def allocating_kernel(function: Callable[P, R]) -> Callable[P, R]:
    """As `kernel`, for one that makes arrays to work in; a slower one, for what is called once."""
    return _compiled(function, is_entry=True, is_counted=True)


def part(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a piece that only kernels call: it becomes part of their machine code and needs no cache of its own."""
    return _compiled(function)


def inlined_part(function: Callable[P, R]) -> Callable[P, R]:
    """As `part`, for one on the way of every packet: its machine code stands where it is called.

    A call passes each array as seven words on the stack, and LLVM by itself calls what is long.
    """
    return _compiled(function, is_inlined=True)


def is_cold() -> bool:
    """Whether this installation's kernels have yet to be compiled."""
    return not NUMBA_SETTINGS.DISABLE_JIT and not (cache_folder() / COMPILED_MARK).exists()


def announce_first_compile() -> None:
    """Announce once, on stderr, that the first run compiles; stay silent once the cache is warm or with the jit off."""
    if not is_cold() or announce_first_compile.__dict__.get("announced"):
        return
    announce_first_compile.__dict__["announced"] = True
    print(ANNOUNCEMENT, file=sys.stderr, flush=True)


def mark_compiled() -> None:
    """Remember that this set of kernels has been compiled, so that the next start does not announce it."""
    if not NUMBA_SETTINGS.DISABLE_JIT:
        with contextlib.suppress(OSError):
            (cache_folder() / COMPILED_MARK).touch()
