"""Many short flows, as a capture on standard output: what a busy hour leaves in a table, at any speed.

    python bench/churn.py FLOWS HOURS | peerburst live -r - --format jsonl

Half are UDP exchanges of a question and an answer, half whole TCP connections of ten packets, opened evenly by 200
hosts of 10.9.0.0/16, each to an address and port of its own.
"""

import sys

import numpy as np
import numpy.typing as npt

START_NS = 1_700_000_000_000_000_000
AT_ONCE = 1 << 14  # flows
KEPT = 56  # bytes of a frame: Ethernet, IPv4 and TCP headers, padded to whole words
BLOCK = 32 + KEPT
HOSTS = 200
SYN, SYN_ACK, ACK, PUSH, FIN = 0x02, 0x12, 0x10, 0x18, 0x11
# (ms since the first packet, from the opener, TCP flags, IP length)
TCP = (
    (0, 1, SYN, 60), (20, 0, SYN_ACK, 60), (21, 1, ACK, 52), (22, 1, PUSH, 300), (45, 0, ACK, 52),
    (60, 0, PUSH, 900), (62, 1, ACK, 52), (70, 1, FIN, 52), (90, 0, FIN, 52), (91, 1, ACK, 52),
)  # fmt: skip
UDP = ((0, 1, 0, 90), (25, 0, 0, 140))


def head() -> bytes:
    section = np.array([0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0xFFFFFFFF, 0xFFFFFFFF, 28], "<u4")
    interface = np.array([1, 32, 1, 0, 0x00010009, 9, 0, 32], "<u4")  # if_tsresol 9: nanoseconds
    return section.tobytes() + interface.tobytes()


def _big(values: npt.NDArray[np.int64], data: int) -> npt.NDArray[np.uint8]:
    shifts = np.arange(data - 1, -1, -1) * 8
    return (values[:, None] >> shifts & 0xFF).astype(np.uint8)


def blocks(first: int, flows: int, step_ns: float) -> bytes:
    """Packet blocks of the flows from number `first` on, in order of time."""
    number = np.arange(first, first + flows)
    made = [(number[kind::2], script, proto) for kind, script, proto in ((0, UDP, 17), (1, TCP, 6))]
    flow = np.concatenate([np.repeat(chosen, len(script)) for chosen, script, _proto in made])
    steps = np.concatenate([np.tile(np.array(script), (chosen.size, 1)) for chosen, script, _proto in made])
    proto = np.concatenate([np.full(chosen.size * len(script), proto) for chosen, script, proto in made])
    instant = START_NS + (flow * step_ns).astype(np.int64) + steps[:, 0] * 1_000_000
    order = np.argsort(instant, kind="stable")
    flow, steps, proto, instant = flow[order], steps[order], proto[order], instant[order]
    frame = np.zeros((flow.size, KEPT), np.uint8)
    frame[:, 12] = 8
    frame[:, 14], frame[:, 16:18] = 0x45, _big(steps[:, 3], 2)
    frame[:, 22], frame[:, 23] = 64, proto
    outward = steps[:, 1][:, None] == 1
    host = _big(0x0A090000 + 1 + flow % HOSTS, 4)
    peer = _big(0xC6120000 + (flow * 7919) % (1 << 17), 4)
    frame[:, 26:30], frame[:, 30:34] = np.where(outward, host, peer), np.where(outward, peer, host)
    port, remote = _big(1024 + flow % 60000, 2), _big(np.where(proto == 6, 443, 2000 + flow % 60000), 2)
    frame[:, 34:36], frame[:, 36:38] = np.where(outward, port, remote), np.where(outward, remote, port)
    tcp = proto == 6
    frame[tcp, 46], frame[tcp, 47], frame[tcp, 48] = 0x80, steps[tcp, 2], 0xFF
    frame[~tcp, 38:40] = _big(steps[~tcp, 3] - 20, 2)
    out = np.zeros((flow.size, BLOCK), np.uint8)
    words = out[:, :28].view("<u4")
    words[:, 0], words[:, 1], words[:, 3] = 6, BLOCK, instant >> 32
    words[:, 4], words[:, 5], words[:, 6] = instant & 0xFFFFFFFF, KEPT, steps[:, 3] + 14
    out[:, 28:-4] = frame
    out[:, -4:].view("<u4")[:, 0] = BLOCK
    return out.tobytes()


def main(flows: int, hours: float) -> None:
    out = sys.stdout.buffer
    out.write(head())
    for first in range(0, flows, AT_ONCE):
        out.write(blocks(first, min(AT_ONCE, flows - first), hours * 3600e9 / flows))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
