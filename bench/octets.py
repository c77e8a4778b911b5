"""Decompress a capture with what peerburst uses, throw the bytes away, and print how many seconds that took.

python bench/bytes.py FILE
"""

import sys
import time

from peerburst.capture.files.streams import open_stream


def main() -> None:
    room = memoryview(bytearray(1 << 22))
    began = time.perf_counter()
    stream = open_stream(sys.argv[1])
    while stream.readinto(room):
        pass
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
