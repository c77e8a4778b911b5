"""What a program needs to play: its guest, the site, its own chance, its hours and the tape."""

import ipaddress
from dataclasses import dataclass

from peerburst.capture.errors import SettingsError
from peerburst.capture.synth.dice import Dice
from peerburst.capture.synth.frames import Endpoint
from peerburst.capture.synth.site import Guest, Remote, Site
from peerburst.capture.synth.tape import Flow, Tape
from peerburst.capture.vocabulary import FlowKind, TrafficClass


@dataclass(frozen=True, slots=True)
class Stage:
    """One program of one guest; times are seconds from the start of the capture, `end_s` when it must stop."""

    tape: Tape
    site: Site
    guest: Guest
    dice: Dice
    program: str
    traffic_class: TrafficClass
    start_s: float
    end_s: float
    v6: bool = False

    def server(self) -> Remote:
        return self.site.server(self.dice, v6=self.v6)

    def peer(self) -> Remote:
        return self.site.peer(self.dice, v6=self.v6)

    def guest_end(self, other: Endpoint) -> Endpoint:
        """The guest's endpoint of the same address family as `other`."""
        if len(other.address) == 4:
            return self.guest.v4
        if self.guest.v6 is None:
            raise SettingsError(f"guest '{self.guest.name}' has no IPv6 address; give it one with ipv6 = \"...\"")
        return self.guest.v6

    def flow(self, source: Endpoint, target: Endpoint, ports: tuple[int, int], protocol: str, kind: FlowKind) -> Flow:
        """The label of a flow begun by `source`; `protocol` is "tcp" or "udp"."""
        orig_h, resp_h = (str(ipaddress.ip_address(end.address)) for end in (source, target))
        who = (self.guest.name, self.program, self.traffic_class)
        return Flow(*who, kind, protocol, orig_h, ports[0], resp_h, ports[1])
