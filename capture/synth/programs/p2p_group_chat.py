"""A chat client without a server in the middle: coming online, it calls on every member of every group chat.

The story is Dan York's (Another Hotel Fails To Support Skype, 2010-04-05): 61 group chats of about ten people, at most
15 of each contacted, and 15 one-to-one chats. Nobody measured such a burst; its parts were measured:

- one local UDP port for everything: Bonfiglio et al., SIGCOMM 2007, section 4.3;
- login, supernodes, order of attempts (UDP, then TCP to the same port, 443, 80), 22 nodes probed at the end of login:
  Baset and Schulzrinne 2004, section 4.2; TCP 443 before 80: Ehlert and Petgang 2006;
- probe dialogues U1 to U4 and their sizes: Ehlert and Petgang 2006, section 5.2.1; Adami et al. 2009, section 2.2;
- a fifth of the contacts never answer, three flows in five are one or two packets, half carry under 153 bytes:
  measured on a 2006 login; contacts made in ticks of a second, a TCP try given up after 1.6 s: on a later one;
- afterwards 16 new peers in five minutes, polls every 20 to 180 s: Rossi, Mellia and Meo, Computer Networks 53(2) 2009.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from peerburst.capture.synth import dns
from peerburst.capture.synth.dice import Dice
from peerburst.capture.synth.settings import setting
from peerburst.capture.synth.site import Remote
from peerburst.capture.synth.stage import Stage
from peerburst.capture.synth.tcp import TcpConversation
from peerburst.capture.synth.udp import UdpConversation
from peerburst.capture.vocabulary import FlowKind

LOGIN_PORT = 33033
VERSION_HOST = "ui.chat.example"
TICK_S = 1.0
SMALLEST_CHAT = 3

# Payload bytes of the probe dialogue (U2, U3 and the long and short U4); U1 varies from version 2.0 on.
U1_SMALLEST, U1_LARGEST = 22, 37
U2, U3_LONGER = 11, 5
U4_ANSWERS = (18, 18, 26, 51, 53)
# Byte 3 of a datagram says what it is for: Bonfiglio et al., section 4.3.
SIGNALLING = (0x02, 0x03, 0x07, 0x0F)
# Of living contacts: those content with U1 and U4, and of the rest those with missed messages to hand over.
SHORT_PROBE_SHARE, MISSED_SHARE = 0.62, 0.55
MISSED_SMALLEST, MISSED_LARGEST = 500, 4000
LARGEST_DATAGRAM = 1355
FETCH_SIZES = (30, 31, 35)
# Silent contacts: probed again, then tried by TCP about 5 s after the first probe.
RETRY_S, FALLBACK_S, GIVE_UP_S = 2.0, 5.0, 1.6
FALLBACK_PORTS = (0, 443, 80)  # 0: the port the probe went to
REFUSING_SHARE = 0.15  # of the dead: their machine is up and says so
TCP_ONLY_SHARE = 0.1  # of the dead to UDP: alive behind a firewall that drops it
POLL_SHORTEST_S, POLL_LONGEST_S = 20.0, 180.0
LATER_PEERS_MEAN_GAP_S = 300 / 16


@dataclass(frozen=True, slots=True)
class Settings:
    """How many chats, how they overlap, how fast the client goes through them."""

    group_chats: int = setting(61, least=0, most=2000)
    memberships: int | None = setting(None, least=0)  # contacts named by all group chats together
    members_mean: float = setting(10.0, least=SMALLEST_CHAT)  # used when memberships is not given
    most_contacted: int = setting(15, least=SMALLEST_CHAT, most=500)  # per group chat
    one_to_one: int = setting(15, least=0, most=2000)
    overlap: float = setting(0.17, least=0, most=0.95)  # share of all contacts already known from another chat
    ramp_per_s: float = setting(4.0, least=0.1, most=500)  # new contacts
    dead_share: float = setting(0.24, least=0, most=1)
    tcp_fallbacks: int = setting(1, least=0, most=len(FALLBACK_PORTS))  # ports tried by TCP after UDP's silence
    supernodes: int = setting(22, least=1, most=200)
    polled_peers: int = setting(8, least=0, most=200)
    local_port: int = setting(35990, least=1024, most=65535)

    def __post_init__(self) -> None:
        least, most = SMALLEST_CHAT * self.group_chats, self.most_contacted * self.group_chats
        if not least <= self.contacts_in_groups <= most:
            raise ValueError(
                f"{self.group_chats} group chats of {SMALLEST_CHAT} to {self.most_contacted} contacts have {least} "
                f"to {most} memberships, not {self.contacts_in_groups}; change one of them"
            )

    @property
    def contacts_in_groups(self) -> int:
        return round(self.group_chats * self.members_mean) if self.memberships is None else self.memberships


def play(settings: Settings, stage: Stage) -> None:
    client = _Client(settings, stage)
    ready_s = client.log_in()
    burst_end_s = client.synchronise(ready_s)
    client.stay_online(burst_end_s)


class _Client:
    """One run of the chat program."""

    def __init__(self, settings: Settings, stage: Stage) -> None:
        self._settings = settings
        self._stage = stage
        self._dice = stage.dice
        self._alive: list[UdpConversation] = []

    def log_in(self) -> float:
        """Version check, supernode, login server and probes: 3 to 7 s and about 9 kB (Baset 2004)."""
        stage, dice = self._stage, self._dice
        at = stage.start_s
        version_server = stage.server()
        at = dns.lookup(stage, at, VERSION_HOST, [version_server])
        check = TcpConversation(stage, version_server, 80, FlowKind.SERVICE)
        request = f"GET /ui/0/getlatestversion?ver=0 HTTP/1.1\r\nHost: {VERSION_HOST}\r\n\r\n".encode()
        reply = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\n4.2.0.155   "
        check.close(check.exchange(check.connect(at), (request, len(request)), (reply, len(reply))) + 0.05)
        at = self._join_supernode(at + 0.4)
        server = TcpConversation(stage, stage.server(), LOGIN_PORT, FlowKind.SERVICE)
        at = server.connect(at + 0.2)
        for out, back in ((5, 5), (420, 1500), (1100, 5200)):
            at = server.exchange(at + 0.01, (b"", out), (b"", back), think_s=0.05)
        server.close(at + 1.0)
        for _ in range(self._settings.supernodes):
            self._contact(at + dice.uniform(0.0, 2.5), stage.peer(), dice.integer(1025, 65535))
        return at + 2.5

    def _join_supernode(self, at: float) -> float:
        """The first refuses, its reply being of 339 bytes; the second takes us on and is polled once a minute."""
        stage, dice = self._stage, self._dice
        full = TcpConversation(stage, stage.peer(), dice.integer(1025, 65535), FlowKind.SERVICE)
        begun = full.exchange(full.connect(at), (b"", 14), (b"", dice.integer(22, 29)))
        full.close(full.exchange(begun, (b"", 27), (b"", 339)))
        supernode = TcpConversation(stage, stage.peer(), dice.integer(1025, 65535), FlowKind.SERVICE)
        at = ready = supernode.exchange(supernode.connect(full.now), (b"", 14), (b"", dice.integer(22, 29)))
        while at < stage.end_s:
            at = supernode.exchange(at, (b"", 27), (b"", 4)) + dice.uniform(50.0, 70.0)
        return ready

    def synchronise(self, ready_s: float) -> float:
        """Every chat in turn, so many new contacts in each tick; returns when the last one was made."""
        settings, dice = self._settings, self._dice
        peers: dict[int, UdpConversation | None] = {}
        at, quota = ready_s, 0.0
        for contact in contacts_in_order(settings, dice):
            if contact in peers:
                self._ask_again(at + dice.uniform(0.2, 4.0), peers[contact])
                continue
            while quota < 1.0:
                at += TICK_S
                quota += settings.ramp_per_s * TICK_S * dice.uniform(0.6, 1.4)
            quota -= 1.0
            moment = at + dice.exponential(0.01)
            peers[contact] = self._contact(moment, self._stage.peer(), dice.integer(1025, 65535))
        return at

    def stay_online(self, at: float) -> None:
        """A few peers polled over and over, and a trickle of new ones."""
        stage, dice = self._stage, self._dice
        for talk in dice.shuffled(self._alive)[: self._settings.polled_peers]:
            period = dice.uniform(POLL_SHORTEST_S, POLL_LONGEST_S)
            poll = at + dice.uniform(0.0, period)
            while poll < stage.end_s:
                talk.exchange(poll, (self._datagram(), 18), (self._datagram(), 18))
                poll += period
        at += dice.exponential(LATER_PEERS_MEAN_GAP_S)
        while at < stage.end_s:
            self._contact(at, stage.peer(), dice.integer(1025, 65535))
            at += dice.exponential(LATER_PEERS_MEAN_GAP_S)

    def _contact(self, at: float, peer: Remote, port: int) -> UdpConversation | None:
        """Reach one person; None when they are away."""
        if self._dice.happens(self._settings.dead_share):
            self._call_on_the_dead(at, peer, port)
            return None
        talk = self._probe(at, peer, port)
        self._alive.append(talk)
        return talk

    def _probe(self, at: float, peer: Remote, port: int) -> UdpConversation:
        """U1 and U4, or U1 to U4 and perhaps the messages missed."""
        dice = self._dice
        talk = self._conversation(peer, port)
        first = dice.integer(U1_SMALLEST, U1_LARGEST)
        if dice.happens(SHORT_PROBE_SHARE):
            talk.exchange(at, (self._datagram(), first), (self._datagram(), dice.pick(U4_ANSWERS)))
            return talk
        at = talk.exchange(at, (self._datagram(), first), (self._datagram(), U2))
        at = talk.exchange(at, (self._datagram(), first + U3_LONGER), (self._datagram(), dice.pick(U4_ANSWERS)))
        if dice.happens(MISSED_SHARE):
            self._fetch(at + dice.exponential(0.8), talk)
        return talk

    def _fetch(self, at: float, talk: UdpConversation) -> None:
        """The messages missed, datagram by datagram, each acknowledged."""
        dice = self._dice
        talk.flow.kind = FlowKind.SYNC
        left = round(min(MISSED_LARGEST, MISSED_SMALLEST + dice.exponential(900)))
        talk.send(at, self._datagram(), dice.pick(FETCH_SIZES))
        while left:
            size = min(left, LARGEST_DATAGRAM)
            left -= size
            at = talk.receive(talk.answered(at), self._datagram(), size)
            talk.send(at, self._datagram(), U2)
            at += dice.exponential(0.3)

    def _ask_again(self, at: float, talk: UdpConversation | None) -> None:
        """Another chat with somebody already reached: the same flow serves."""
        if talk is None:
            return
        talk.flow.kind = FlowKind.SYNC
        size = self._dice.pick(FETCH_SIZES)
        talk.exchange(at, (self._datagram(), size), (self._datagram(), self._dice.integer(26, 400)))

    def _call_on_the_dead(self, at: float, peer: Remote, port: int) -> None:
        dice = self._dice
        talk = self._conversation(peer, port)
        first = dice.integer(U1_SMALLEST, U1_LARGEST)
        refusing = dice.happens(REFUSING_SHARE)
        if refusing:
            talk.refused(at, self._datagram(), first)
        else:
            talk.send(at, self._datagram(), first)
            talk.send(at + RETRY_S, self._datagram(), first)
        at += FALLBACK_S
        answering = dice.happens(TCP_ONLY_SHARE)
        tried = FALLBACK_PORTS[: self._settings.tcp_fallbacks]
        for number, fallback in enumerate(tried, 1):
            attempt = TcpConversation(self._stage, peer, fallback or port, FlowKind.PROBE)
            if refusing:
                at = attempt.connect_refused(at)
            elif answering:
                attempt.flow.kind = FlowKind.SYNC
                at = attempt.exchange(attempt.connect(at), (b"", 14), (b"", dice.integer(22, 29)))
                attempt.close(attempt.exchange(at, (b"", 27), (b"", dice.integer(200, 2500))) + 3.0)
                return
            else:
                # All but the last try are cut short; the last is left to TCP's own patience.
                at = attempt.connect_unanswered(at, GIVE_UP_S if number < len(tried) else 8.0)

    def _conversation(self, peer: Remote, port: int) -> UdpConversation:
        return UdpConversation(self._stage, peer, port, FlowKind.PROBE, local_port=self._settings.local_port)

    def _datagram(self) -> bytes:
        """A message number and what the datagram is for; the rest is ciphertext.

        Numbers stay below 2^15: a first byte of 0x80 or more would have dissectors take some for RTP or RTCP.
        """
        return self._dice.integer(0, 0x7FFF).to_bytes(2, "big") + bytes([self._dice.pick(SIGNALLING)])


def contacts_in_order(settings: Settings, dice: Dice) -> Iterator[int]:
    """The contacts as the client meets them, chat by chat, known people again where chats overlap.

    Contacts are numbers from 0; their highest is the number of different people, less one. Nobody is in a chat twice.
    """
    sizes = dice.shuffled([*chat_sizes(settings, dice), *[1] * settings.one_to_one])
    total = sum(sizes)
    repeats = round(total * settings.overlap)
    known = asked = 0
    for size in sizes:
        # Repeats are spread over the chats evenly, as far as enough people are known.
        due = round(repeats * (asked + size) / total) if total else 0
        again = min(size, known, max(0, due - (asked - known)))
        asked += size
        members = dice.shuffled(range(known))[:again] + list(range(known, known + size - again))
        known += size - again
        yield from dice.shuffled(members)


def chat_sizes(settings: Settings, dice: Dice) -> list[int]:
    """How many members of each group chat are contacted: uneven, and the memberships in sum."""
    sizes = [SMALLEST_CHAT] * settings.group_chats
    left = settings.contacts_in_groups - sum(sizes)
    popularity = [dice.log_normal(1.0, 0.5) for _ in sizes]
    while left:
        open_chats = [chat for chat, size in enumerate(sizes) if size < settings.most_contacted]
        emptiest = min(open_chats, key=lambda chat: sizes[chat] / popularity[chat])
        sizes[emptiest] += 1
        left -= 1
    return sizes
