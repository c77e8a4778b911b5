"""A machine's background lookups: updaters, mail, widgets and tabs asking for names all the time."""

from dataclasses import dataclass

from peerburst.capture.synth import dns
from peerburst.capture.synth.settings import setting
from peerburst.capture.synth.stage import Stage

# Names mistyped, expired or tried with a search suffix.
MISSING_SHARE = 0.06
# Systems ask for both families at once.
BOTH_FAMILIES_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Settings:
    """How often a name is asked for, on average."""

    gap_s: float = setting(8.0, least=0.01)


def play(settings: Settings, stage: Stage) -> None:
    dice = stage.dice
    at = stage.start_s + dice.exponential(settings.gap_s)
    while at < stage.end_s:
        name = f"{dice.pick(('update', 'mail', 'push', 'time', 'sync'))}.service{dice.integer(0, 40)}.example"
        if dice.happens(MISSING_SHARE):
            dns.ask(stage, at, name, dns.A, [], dns.NO_SUCH_NAME)
        else:
            dns.ask(stage, at, name, dns.A, [(dns.A, stage.site.server(dice).endpoint.address)])
            if dice.happens(BOTH_FAMILIES_SHARE):
                address = stage.site.server(dice, v6=True).endpoint.address
                dns.ask(stage, at + 0.0002, name, dns.AAAA, [(dns.AAAA, address)])
        at += dice.exponential(settings.gap_s)
