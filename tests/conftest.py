"""What all tests share: deterministic Hypothesis runs, with smaller budgets where kernels run uncompiled."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.kernels import COMPILED
from tests.support.paths import CORPUS

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
