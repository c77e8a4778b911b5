"""How to read and count: what a person can choose, and the defaults."""

from dataclasses import dataclass, replace

from peerburst.analysis.gateways import DEFAULT_MODELS, GatewayModel, load
from peerburst.analysis.gateways.model import Per
from peerburst.capture.errors import SettingsError

DEFAULT_LIMIT = 200  # the article's hotel
# Limits seen in the wild (docs/gateways.md): a home router that died, the article's hotel, carriers' port blocks,
# small routers' whole tables.
DEFAULT_LIMITS = (100, 128, DEFAULT_LIMIT, 256, 512, 1000, 1024, 2048)


MOST_LIMIT = 2**32 - 1  # Linux counts connections in 32 bits


@dataclass(frozen=True, slots=True)
class Settings:
    """How to read and count. Empty `models` and `limits` stand for the usual ones; `local_nets` None likewise."""

    models: tuple[str, ...] = ()
    limits: tuple[int, ...] = ()
    local_nets: tuple[str, ...] | None = None
    include_lan: bool = False
    follow_tunnels: bool = False
    most_packets: int | None = None
    gateway: str | None = None  # its address or MAC; None to find it
    side: str | None = None  # of a translation that is seen from both sides: lan (the usual one) or wan
    per: str | None = None  # what a limit is per; None for what the first model says
    mirror: bool = False  # what is read was found inside a tunnel, and that followed by itself

    @property
    def limit(self) -> int:
        """The limit that sentences and pictures speak of."""
        return self.limits[0] if self.limits else DEFAULT_LIMIT

    def with_limit(self, limit: int) -> "Settings":
        """These settings with `limit` as the first of the limits, before those there are."""
        others = (other for other in self.limits or DEFAULT_LIMITS if other != limit)
        return replace(self, limits=(limit, *others))


def load_models(settings: Settings) -> list[GatewayModel]:
    """The models to count under, the headline model first; raises SettingsError if one or a limit makes no sense."""
    models = [load(name) for name in settings.models or DEFAULT_MODELS]
    names = [model.name for model in models]
    if len(set(names)) < len(names):
        raise SettingsError(f"a gateway model is named twice in {', '.join(names)}")
    if settings.per is not None and settings.per not in {per.value for per in Per}:
        raise SettingsError(f"{settings.per!r} is nothing a limit is per; say {', '.join(per.value for per in Per)}")
    if settings.side not in (None, "lan", "wan"):
        raise SettingsError(f"{settings.side!r} is no side of a gateway; say lan or wan")
    if any(limit < 1 for limit in settings.limits):
        raise SettingsError("a limit must be at least 1 connection")
    if any(limit > MOST_LIMIT for limit in settings.limits):
        raise SettingsError(f"a limit of {max(settings.limits)} is beyond any gateway's; name one up to {MOST_LIMIT:,}")
    return models
