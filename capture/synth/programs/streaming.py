"""Watching a film over HTTP: a segment every few seconds over one to three connections (DASH, ISO/IEC 23009-1)."""

from dataclasses import dataclass

from peerburst.capture.synth import dns, tls
from peerburst.capture.synth.settings import setting
from peerburst.capture.synth.stage import Stage
from peerburst.capture.vocabulary import FlowKind

# Players fill a buffer first, back to back, then keep pace with the film.
SEGMENTS_AHEAD = 4
SEGMENT_SIGMA = 0.2
AUDIO_SHARE = 0.12
REQUEST, MANIFEST = 420, 9000


@dataclass(frozen=True, slots=True)
class Settings:
    """The film's rate, its segments, the line's rate and the connections used in turn."""

    bitrate_kbps: int = setting(700, least=16)
    segment_s: float = setting(6.0, least=1, most=30)
    line_kbps: int = setting(6000, least=64)
    connections: int = setting(2, least=1, most=3)
    server: str = setting("video.example")


def play(settings: Settings, stage: Stage) -> None:
    dice = stage.dice
    site = stage.server()
    at = dns.lookup(stage, stage.start_s, settings.server, [site])
    page = tls.open_tls(stage, at, site, settings.server, FlowKind.ORDINARY)
    at = page.exchange(page.now, (b"", REQUEST), (b"", MANIFEST))
    page.close(at + 15.0)
    name = f"edge.{settings.server}"
    edge = stage.server()
    at = dns.lookup(stage, at, name, [edge])
    talks = [tls.open_tls(stage, at + 0.02 * n, edge, name, FlowKind.MEDIA) for n in range(settings.connections)]
    size = settings.bitrate_kbps * 1000 * settings.segment_s / 8
    number = 0
    due = at
    while due < stage.end_s:
        talk = talks[number % len(talks)]
        media = size * (AUDIO_SHARE if number % 2 and settings.connections > 1 else 1.0)
        done = talk.exchange(
            due,
            (b"", REQUEST),
            (b"", round(dice.log_normal(media, SEGMENT_SIGMA))),
            rate_bps=settings.line_kbps * 1000,
        )
        number += 1
        ahead = number // len(talks) < SEGMENTS_AHEAD
        due = done + 0.02 if ahead else max(done, due + settings.segment_s / len(talks))
    for talk in talks:
        talk.close(stage.end_s)
