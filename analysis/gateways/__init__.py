"""Gateway models: how each kind of gateway counts a host's connections, as data with sources."""

from peerburst.analysis.gateways.catalogue import DEFAULT_MODELS, load, names, shipped
from peerburst.analysis.gateways.model import (
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
