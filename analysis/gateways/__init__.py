"""Gateway models: how each kind of gateway counts a host's connections, as data with sources."""

from peerburst.analysis.gateways.model import (
    DEFAULT_MODELS,
    LINUX_PHASES,
    PHASES,
    TCP_STATES,
    Begins,
    Engine,
    GatewayModel,
    Sure,
    Timeout,
    TwoWay,
    Unit,
    load,
    names,
    shipped,
)

__all__ = [
    "DEFAULT_MODELS",
    "LINUX_PHASES",
    "PHASES",
    "TCP_STATES",
    "Begins",
    "Engine",
    "GatewayModel",
    "Sure",
    "Timeout",
    "TwoWay",
    "Unit",
    "load",
    "names",
    "shipped",
]
