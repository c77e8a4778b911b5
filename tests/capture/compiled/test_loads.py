"""How kernels read words."""

import numpy as np
import pytest

from peerburst.capture.compiled import loads


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_words_are_read_in_either_order_and_never_beyond_the_array() -> None:
    array = np.arange(1, 10, dtype=np.uint8)
    assert loads.be16(array, 0) == 0x0102
    assert loads.le16(array, 7) == 0x0908
    assert loads.be32(array, 5) == 0x06070809
    assert loads.le32(array, 1) == 0x05040302
    assert loads.be64(array, 1) == 0x0203040506070809
    full = np.full(8, 255, np.uint8)
    assert (loads.be32(full, 0), loads.le32(full, 4), loads.be64(full, 0)) == (2**32 - 1, 2**32 - 1, 2**64 - 1)
    for at in (-1, 8, 9, 2**40):
        assert (loads.be16(array, at), loads.le16(array, at)) == (0, 0)
    for at in (-1, 6, 9, 2**40):
        assert (loads.be32(array, at), loads.le32(array, at)) == (0, 0)
