"""What the manual of scapy shows as a SYN scan: ports of one host, a packet each, and what came back.

python -m tests.lab.arena.players.scapy_scan ADDRESS FIRST LAST PAUSE_S
"""

import sys

from scapy.config import conf
from scapy.layers.inet import IP, TCP
from scapy.sendrecv import sr
from scapy.volatile import RandShort

if __name__ == "__main__":
    conf.verb = 0
    address, first, last, pause_s = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    packets = IP(dst=address) / TCP(sport=RandShort(), dport=(first, last), flags="S")
    answered, unanswered = sr(packets, inter=pause_s, timeout=3)
    print(f"{len(answered)} answers, {len(unanswered)} silent", flush=True)
