"""The analysis that figures are made of in these tests."""

from pathlib import Path

import pytest

from peerburst.analysis.analysis import Analysis
from tests.support.making import OTHER_HOST, Tape, local, remote
from tests.support.packets_by_hand import SYN


@pytest.fixture
def analysis(tmp_path: Path) -> Analysis:
    tape = Tape()
    tape.connection(0, local(4000), remote(90), received=700_000)
    for i in range(30):
        tape.exchange(50 + i * 0.2, local(5000), remote(i, 40_000 + i))
        tape.udp(50.15 + i * 0.2, local(5000), remote(i, 40_000 + i))
    tape.udp(60, local(5001), ("20.0.9.9", 40_000))
    tape.udp(100, local(5002), remote(1, 53))
    tape.tcp(101, local(6000), (OTHER_HOST, 445), SYN)
    return tape.analysis(tmp_path)
