"""What a figure is asked about: a host, as one gateway counts it, against a limit."""

from dataclasses import dataclass

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.gateways import GatewayModel


@dataclass(frozen=True, slots=True)
class Subject:
    """What `view` of each figure is given; those that count nothing leave model and limit alone.

    `host` is the address of a local host; its `number` raises SettingsError for any other.
    """

    analysis: Analysis
    host: str
    model: GatewayModel
    limit: int  # connections held at once

    @property
    def number(self) -> int:
        return self.analysis.host_number(self.host)
