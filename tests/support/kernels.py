"""Whether kernels run compiled here, or as plain Python (NUMBA_DISABLE_JIT=1)."""

from peerburst.capture.compiled.kernel import NUMBA_SETTINGS

COMPILED = not NUMBA_SETTINGS.DISABLE_JIT
