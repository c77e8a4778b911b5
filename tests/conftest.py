"""What all tests share: deterministic Hypothesis runs, with smaller budgets where kernels run uncompiled."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from peerburst.capture.kernels import NUMBA_SETTINGS

COMPILED = not NUMBA_SETTINGS.DISABLE_JIT
CORPUS = Path(__file__).resolve().parent.parent.parent / "shared" / "corpus"

settings.register_profile(
    "peerburst",
    derandomize=True,
    database=None,
    deadline=None,  # the first example compiles
    max_examples=200 if COMPILED else 60,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("peerburst")


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real captures beside the project; tests that need it skip where it is absent."""
    if not CORPUS.is_dir():
        pytest.skip("the captures of ../shared/corpus are not here")
    return CORPUS
