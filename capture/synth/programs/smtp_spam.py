"""A machine that sends unwanted mail: for each domain the mail host is asked of DNS, then called on port 25.

Dialogue of RFC 5321; unknown senders are put off with 450 (greylisting, RFC 6647) or refused with 554; many home
networks' addresses are not let in at all.
"""

import struct
from dataclasses import dataclass

from peerburst.capture.synth import dns
from peerburst.capture.synth.settings import setting
from peerburst.capture.synth.site import Remote
from peerburst.capture.synth.stage import Stage
from peerburst.capture.synth.tcp import GUEST, REMOTE, TcpConversation
from peerburst.capture.vocabulary import FlowKind

PORT = 25
# Mail hosts look the sender up before they answer.
THINK_S = 0.12
ADVERTISEMENT = b"Best watches, best prices, see http://shop.example/ today.\r\n"
LINES_MEDIAN, LINES_SIGMA = 40, 0.5


@dataclass(frozen=True, slots=True)
class Settings:
    """How many domains, how fast, and how they take it; what is left over after the shares takes the mail."""

    domains: int = setting(120, least=1, most=20_000)
    rate_per_s: float = setting(2.0, least=0.01, most=1000)
    silent_share: float = setting(0.15, least=0, most=1)
    refused_share: float = setting(0.15, least=0, most=1)
    greylisted_share: float = setting(0.35, least=0, most=1)

    def __post_init__(self) -> None:
        total = self.silent_share + self.refused_share + self.greylisted_share
        if total > 1:
            raise ValueError(f"silent, refused and greylisted shares make {total:g}; they must not pass 1 together")


def play(settings: Settings, stage: Stage) -> None:
    dice = stage.dice
    at = stage.start_s
    for number in range(settings.domains):
        if at >= stage.end_s:
            return
        _deliver(settings, stage, at, f"company{number}.example")
        at += dice.exponential(1.0 / settings.rate_per_s)


def _deliver(settings: Settings, stage: Stage, at: float, domain: str) -> None:
    host = stage.site.peer(stage.dice, v6=stage.v6)
    at = _find_mail_host(stage, at, domain, host)
    talk = TcpConversation(stage, host, PORT, FlowKind.ORDINARY)
    fate = stage.dice.share()
    if fate < settings.silent_share:
        talk.connect_unanswered(at)
        return
    fate -= settings.silent_share
    if fate < settings.refused_share:
        talk.connect_refused(at)
        return
    fate -= settings.refused_share
    _converse(stage, talk, talk.connect(at), domain, greylisted=fate < settings.greylisted_share)


def _find_mail_host(stage: Stage, at: float, domain: str, host: Remote) -> float:
    name = f"mx1.{domain}"
    at = dns.ask(stage, at, domain, dns.MX, [(dns.MX, struct.pack(">H", 10) + dns.encoded_name(name))])
    return dns.lookup(stage, at, name, [host])


def _converse(stage: Stage, talk: TcpConversation, at: float, domain: str, *, greylisted: bool) -> None:
    dice = stage.dice
    at = talk.download(at + dice.exponential(THINK_S), f"220 mx1.{domain} ESMTP\r\n".encode())
    recipient = f"RCPT TO:<info@{domain}>"
    dialogue = [
        ("EHLO pc.example", f"250-mx1.{domain}\r\n250 SIZE 35882577"),
        ("MAIL FROM:<offers@shop.example>", "250 2.1.0 Ok"),
        (recipient, "450 4.2.0 Greylisted, please come back later" if greylisted else "250 2.1.5 Ok"),
    ]
    if not greylisted:
        lines = max(5, round(dice.log_normal(LINES_MEDIAN, LINES_SIGMA)))
        mail = f"From: offers@shop.example\r\nTo: info@{domain}\r\nSubject: Offers\r\n\r\n"
        text = mail + ADVERTISEMENT.decode() * lines + "."
        dialogue += [("DATA", "354 End data with <CR><LF>.<CR><LF>"), (text, "250 2.0.0 Ok: queued")]
    dialogue.append(("QUIT", "221 2.0.0 Bye"))
    for command, reply in dialogue:
        out, back = f"{command}\r\n".encode(), f"{reply}\r\n".encode()
        at = talk.exchange(at + 0.002, (out, len(out)), (back, len(back)), think_s=0.01 + dice.exponential(THINK_S))
    talk.close(at, by=GUEST if greylisted else REMOTE)
