"""One capture's answers: hosts, counts under each gateway model, bursts and classes. Computed when first asked for."""

import ipaddress
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from peerburst.analysis.bursts import features, kinds
from peerburst.analysis.bursts.classes import ONE_WAY_RULES, RULES
from peerburst.analysis.bursts.classify import Classification, classify, labels, says_something
from peerburst.analysis.bursts.find import BurstFinder
from peerburst.analysis.bursts.rules import Rule
from peerburst.analysis.counting import peaks, step_function
from peerburst.analysis.counting.host_entries import (
    Entries,
    Network,
    active_intervals,
    counted_scopes,
    host_entries,
    network_of,
)
from peerburst.analysis.counting.peaks import Concurrency
from peerburst.analysis.counting.step_function import Steps
from peerburst.analysis.counting.sweep import NEVER_CROSSED
from peerburst.analysis.gateways import GatewayModel, load
from peerburst.analysis.gateways.model import Per
from peerburst.analysis.hosts import index as hostflows
from peerburst.analysis.hosts import programs
from peerburst.analysis.hosts.flow_facts import FlowFacts
from peerburst.analysis.hosts.locality import Endpoints, Scope, to_text
from peerburst.analysis.recording import FlagsAlone, flags_alone
from peerburst.analysis.results import Burst, Host, ModelPeak
from peerburst.analysis.settings import DEFAULT_LIMITS, Settings, load_models
from peerburst.analysis.vantage import direction
from peerburst.analysis.vantage.direction import Direction
from peerburst.analysis.vantage.vantage import Surroundings, Vantage
from peerburst.capture.compiled.stopwatch import stage
from peerburst.capture.errors import SettingsError
from peerburst.capture.flows.originator import settle
from peerburst.capture.packets.ip import MAPPED_PREFIX, PROTO_TCP
from peerburst.capture.read import Capture
from peerburst.capture.sockets.observations import SocketObservations
from peerburst.capture.vocabulary import TrafficClass

if TYPE_CHECKING:
    import pandas as pd

MOST_STEP_S = 1_000_000_000  # some thirty years; instants are kept in 64 bits of nanoseconds
HEADLINE = "linux-connlimit"


def as_written(name: str) -> str:
    """An address as it is written here (RFC 5952), whichever way a person wrote it; what is no address as it is."""
    text = name.strip().strip("[]").partition("%")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return name
    return str(getattr(address, "ipv4_mapped", None) or address)


class Analysis:
    """What the captures say. `models` are in the order of the verdict matrix, the headline model first."""

    def __init__(
        self,
        capture: Capture,
        settings: Settings,
        models: Sequence[GatewayModel] | None = None,
        observations: SocketObservations | None = None,
    ) -> None:
        """`models` None: those of the settings. `observations` None: those kept beside the captures."""
        self.capture = capture
        self.settings = settings
        self.models = list(models) if models is not None else load_models(settings)
        self._observations = observations
        self._concurrency: dict[tuple[str, bool], Concurrency] = {}
        self._counted: dict[str, Concurrency] = {}
        self._per_others: dict[Per, Analysis] = {}
        self._ways = direction.ways(capture.flows)
        if self._ways.is_one_way:
            settle(capture.flows, capture.first_ns, one_way=True)

    @cached_property
    def direction(self) -> Direction:
        """Whether the capture saw both directions, or which one."""
        return direction.direction(self._ways, self.ends.host_a, self.ends.host_b)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that classes are told by: of one direction alone, those that need no answers."""
        return ONE_WAY_RULES if self._ways.is_one_way else RULES

    @property
    def limits(self) -> tuple[int, ...]:
        """The limits to judge by, each once, the lowest first."""
        return tuple(sorted(set(self.settings.limits or DEFAULT_LIMITS)))

    @cached_property
    def ends(self) -> Endpoints:
        return self.surroundings.ends(self.per)

    @cached_property
    def surroundings(self) -> Surroundings:
        """Who is who, by all that the capture tells."""
        return Surroundings(self.capture, self.settings)

    @property
    def per(self) -> Per:
        """What a limit is per: as asked for, else as the first model has it."""
        if self.settings.per is not None:
            return Per(self.settings.per)
        return self.models[0].per if self.models else Per.ADDRESS

    def counted_per(self, per: Per) -> "Analysis":
        """The same capture with a limit per something else."""
        if per is self.per:
            return self
        if per not in self._per_others:
            other = Analysis(self.capture, replace(self.settings, per=per.value), self.models[:1], self._observations)
            other.surroundings, other.facts, other.kinds = self.surroundings, self.facts, self.kinds
            self._per_others[per] = other
        return self._per_others[per]

    @cached_property
    def vantage(self) -> Vantage:
        """Where the capture was made, and what that rests on."""
        return self.surroundings.vantage(self.per)

    @cached_property
    def mappings(self) -> "pd.DataFrame":
        """What a translation was seen to do; see `mappings.mappings_table`."""
        from peerburst.analysis.flow_table import mappings_table

        return mappings_table(self.capture.flows, self.surroundings.twins.inside, self.surroundings.twins.outside)

    def addresses_of(self, number: int) -> list[str]:
        """All addresses that a host counts with, its name first."""
        if not self.ends.addresses:
            return [self.host_names[number]]
        return [to_text(*words) for words in self.ends.addresses[number]]

    @cached_property
    def facts(self) -> FlowFacts:
        return FlowFacts(self.capture.flows)

    @cached_property
    def kinds(self) -> npt.NDArray[np.uint8]:
        return kinds.flow_kinds(self.capture.flows, self.facts, answers_seen=not self._ways.is_one_way)

    @cached_property
    def index(self) -> hostflows.HostIndex:
        return hostflows.HostIndex(self.capture.flows, self.ends)

    @cached_property
    def host_names(self) -> list[str]:
        """Addresses by host number, those without flows of their own included."""
        return self.ends.hosts()

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """Of each host's name, and of the other addresses that count with it."""
        numbers = {to_text(*words): number for number, all_of in enumerate(self.ends.addresses) for words in all_of}
        return numbers | {name: number for number, name in enumerate(self.host_names)}

    def since_start(self, ns: int) -> float:
        """Seconds from the first packet to an instant."""
        return (int(ns) - self.capture.first_ns) / 1e9

    def host_number(self, name: str) -> int:
        """The number of a host; raises SettingsError naming those there are."""
        number = self._numbers.get(name, self._numbers.get(as_written(name)))
        if number is not None:
            return number
        known = ", ".join(self.host_names[number] for number in self.ranked[:5])
        raise SettingsError(f"no local host {name} in this capture; the busiest are: {known or 'none'}")

    def busiest(self) -> str:
        """The host with the highest peak; raises SettingsError where there is no local host."""
        if not self.ranked:
            raise SettingsError("no local host in this capture; say which networks are local with --local-net")
        return self.host_names[self.ranked[0]]

    def model(self, name: str) -> GatewayModel:
        """One of the models in use, or another by its name or file."""
        return next((model for model in self.models if model.name == name), None) or load(name)

    @cached_property
    def _network(self) -> Network:
        """Which flows are whose, as counting takes it."""
        return network_of(self.index, self.ends, include_lan=self.settings.include_lan)

    def entries(self, model: GatewayModel) -> Entries:
        """What a gateway of this model held of all hosts. Not kept: it is large, and quickly made again."""
        return host_entries(model, self.capture.flows, self._network)

    def entries_of(self, number: int, model: GatewayModel) -> Entries:
        """The same of one host."""
        return host_entries(model, self.capture.flows, self._network, (number, number + 1))

    def concurrency(self, model: GatewayModel, *, inbound: bool = False) -> Concurrency:
        """Peaks and crossings of all hosts under a model."""
        key = (model.name, inbound)
        if key not in self._concurrency:
            self.measure_models([model])
        return self._concurrency[key]

    def measure_models(self, models: Sequence[GatewayModel] | None = None) -> None:
        """Measure the models in use, or those named, that nobody has asked for yet."""
        missing = [model for model in models or self.models if (model.name, False) not in self._concurrency]
        if not missing:
            return
        network = self._network
        with stage("models"):
            found = peaks.measure(missing, self.capture.flows, network, self.capture.last_ns, self.limits)
        for model, (opened, opened_to) in zip(missing, found, strict=True):
            self._concurrency[model.name, False], self._concurrency[model.name, True] = opened, opened_to

    @cached_property
    def ranked(self) -> list[int]:
        """Host numbers, those with the highest peak first; hosts without a flow of their own are left out."""
        if not self.models or not self.host_names:
            return []
        flows = self.index.counts()
        peak = self.concurrency(self.models[0]).peak
        inbound = self.concurrency(self.models[0], inbound=True).peak
        order = np.lexsort((np.arange(flows.size), -flows, -inbound, -peak))
        return [int(number) for number in order if flows[number]]

    def counted(self, model: GatewayModel) -> Concurrency:
        """Peaks and crossings of all hosts under a model: of what each opened, or of what was opened to a server."""
        if model.name not in self._counted:
            opened, opened_to = self.concurrency(model), self.concurrency(model, inbound=True)
            server = self.servers
            self._counted[model.name] = Concurrency(
                peak=np.where(server, opened_to.peak, opened.peak),
                peak_at=np.where(server, opened_to.peak_at, opened.peak_at),
                active_at_peak=np.where(server, opened_to.active_at_peak, opened.active_at_peak),
                limits=opened.limits,
                crossed_at=np.where(server[:, None], opened_to.crossed_at, opened.crossed_at),
                above_ns=np.where(server[:, None], opened_to.above_ns, opened.above_ns),
            )
        return self._counted[model.name]

    def peak(self, number: int, model: GatewayModel) -> ModelPeak:
        """A host's highest count under a model: of what it opened, or of what was opened to a server."""
        counted = self.counted(model)
        peak, talking = int(counted.peak[number]), int(counted.active_at_peak[number])
        crossed, above = counted.crossed_at[number].tolist(), counted.above_ns[number].tolist()
        return ModelPeak(
            peak=peak,
            peak_at_s=self.since_start(counted.peak_at[number]) if peak else None,
            talking=talking,
            lingering=peak - talking,
            crossed_at_s={
                limit: self.since_start(at) if at != NEVER_CROSSED else None
                for limit, at in zip(counted.limits, crossed, strict=True)
            },
            above_s={limit: ns / 1e9 for limit, ns in zip(counted.limits, above, strict=True)},
        )

    @cached_property
    def servers(self) -> npt.NDArray[np.bool_]:
        """Per host, whether its counted connections were all opened to it, under the first model."""
        if not self.models:
            return np.zeros(len(self.host_names), np.bool_)
        headline = self.models[0]
        opened_to = self.concurrency(headline, inbound=True).peak > 0
        servers: npt.NDArray[np.bool_] = (self.concurrency(headline).peak == 0) & opened_to
        return servers

    def is_server(self, number: int) -> bool:
        """Whether a host's counted connections were all opened to it, under the first model."""
        return bool(self.servers[number])

    def bound(self, number: int) -> str:
        """What a host's peaks under the first model are: "at least", "at most" or, if they are exact, nothing."""
        if self.direction.is_one_way and self.models:
            return direction.bound(self.direction, self.models[0])
        return "at least" if self.at_least(number) else ""

    def at_least(self, number: int) -> bool:
        """Whether a host's peaks are lower bounds: packets were lost or filtered out, or TCP flows met mid-stream.

        Of one direction alone `direction.bound` says what they are, here under the first model.
        """
        if self.direction.is_one_way:
            return self.bound(number) == "at least"
        is_partial = self.capture.drops > 0 or self.flags_alone is not None
        return is_partial or bool(self._met_mid_stream[number])

    @cached_property
    def flags_alone(self) -> FlagsAlone | None:
        """Whether a filter kept only TCP packets with certain flags, see `recording`."""
        return flags_alone(self.capture.flows)

    @cached_property
    def _met_mid_stream(self) -> npt.NDArray[np.bool_]:
        """Per host, whether any of its counted TCP flows began before the capture did."""
        met_late = (self.capture.flows.row["proto"] == PROTO_TCP) & ~self.facts.opened
        met = np.flatnonzero(met_late & counted_scopes(self.settings.include_lan)[self.ends.scope])
        hosts = np.zeros(len(self.host_names) + 1, np.bool_)  # one more, for ends that are not local (-1)
        hosts[self.ends.host_a[met]] = True
        hosts[self.ends.host_b[met]] = True
        return hosts

    def counted_flows(self, number: int) -> hostflows.HostFlows:
        """The flows of a host that its counts are about."""
        flows = self.index.of(number)
        scope = self.ends.scope[flows.flow]
        return flows if self.settings.include_lan else flows.take(scope != Scope.LAN)

    def ipv6_flows(self, number: int) -> int:
        """How many of the flows that a host's counts are about are of IPv6."""
        row = self.capture.flows.row[self.counted_flows(number).flow]
        is_ipv4 = (row["a_hi"] == 0) & (row["a_lo"] >> np.uint64(32) == MAPPED_PREFIX >> 32)
        return int(np.count_nonzero(~is_ipv4))

    def host(self, number: int) -> Host:
        """A host by its number."""
        self.measure_models()
        return Host(
            name=self.host_names[number],
            flows=int(self.index.counts()[number]),
            peers=int(self.totals.peers[number]),
            ip_bytes=int(self.totals.ip_bytes[number]),
            models={model.name: self.peak(number, model) for model in self.models},
            is_server=self.is_server(number),
            inbound_peak=int(self.concurrency(self.models[0], inbound=True).peak[number]) if self.models else 0,
            classification=self._classification(number),
        )

    @cached_property
    def totals(self) -> hostflows.Totals:
        """How many peers and bytes each host has."""
        return self.index.totals()

    @cached_property
    def _host_features(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.void]]:
        """(numbers, FEATURES) of the hosts that do enough to be classed: most have few flows without weight."""
        enough = says_something(self.index.counts(), self.totals.ip_bytes)
        numbers = np.flatnonzero(enough & (self.index.counts() > 0))
        begins, stops = self.index.first[numbers], self.index.first[numbers + 1]
        with stage("classes"):
            seen = features.measure_sets(self.index.flow, self.index.outbound, begins, stops, self.facts, self.kinds)
        return numbers, seen

    def _classification(self, number: int) -> Classification:
        """What a host does over the whole capture."""
        numbers, seen = self._host_features
        at = np.searchsorted(numbers, number)
        if at == numbers.size or numbers[at] != number:
            return Classification(TrafficClass.UNKNOWN, 0.0, ())
        return classify(features.of_rows(seen[at : at + 1])[0], rules=self.rules)

    @cached_property
    def host_classes(self) -> list[TrafficClass]:
        """The class of each host by number, without its reasons."""
        classes = [TrafficClass.UNKNOWN] * len(self.host_names)
        numbers, seen = self._host_features
        for number, found in zip(numbers.tolist(), labels(seen, self.rules), strict=True):
            classes[number] = found
        return classes

    @cached_property
    def hosts(self) -> list[Host]:
        """All local hosts that have flows, the highest peak first."""
        return [self.host(number) for number in self.ranked]

    @cached_property
    def bursts(self) -> list[Burst]:
        """All bursts of all hosts, in the order they began."""
        with stage("bursts"):
            span = (self.capture.first_ns, self.capture.last_ns)
            finder = BurstFinder(
                self.index, self.facts, self.kinds, self.host_names, self.totals.ip_bytes, span, self.rules
            )
            return finder.find()

    @cached_property
    def scopes(self) -> dict[Scope, int]:
        """How many flows go where."""
        return {scope: int(np.count_nonzero(self.ends.scope == scope)) for scope in Scope}

    @cached_property
    def programs(self) -> tuple[npt.NDArray[np.int32], list[str]] | None:
        """(code per flow, program names by code), None where no sockets were watched; see `programs.attribute`."""
        seen = programs.observations_beside(self.capture.paths) if self._observations is None else self._observations
        return programs.attribute(self.capture.flows, self.ends, seen) if seen.seen else None

    def flows_by_program(self) -> dict[str, int]:
        """How many flows each program had, the most first; those of no known program under the empty name."""
        if self.programs is None:
            return {}
        codes, names = self.programs
        counts = np.bincount(codes, minlength=len(names)).tolist()
        return {
            names[code]: counts[code] for code in sorted(range(len(names)), key=lambda c: -counts[c]) if counts[code]
        }

    @cached_property
    def flows(self) -> "pd.DataFrame":
        """One row per flow; see `tables.flows_table`."""
        from peerburst.analysis import (
            flow_table as tables,  # pandas costs half a second: only who asks for a table pays
        )

        return tables.flows_table(self.capture.flows, self.facts, self.ends, self.kinds, self.programs)

    def community_ids(self) -> list[str | None]:
        """Community ID v1 per flow, aligned with `flows`."""
        from peerburst.analysis import flow_table as tables

        return tables.community_ids(self.capture.flows, self.flows)

    def steps(self, host: str, model: str = HEADLINE) -> Steps:
        """The exact step function of a host's count under a model."""
        number = self.host_number(host)
        held = self.entries_of(number, self.model(model))
        mine = held.of(number, inbound=self.is_server(number))
        return step_function.steps(held.entry["start"][mine], held.entry["end"][mine])

    def talking_steps(self, host: str, model: str = HEADLINE) -> Steps:
        """The step function of those that have had a packet in the last five seconds."""
        number = self.host_number(host)
        held = self.entries_of(number, self.model(model))
        start, end, entry = active_intervals(self.capture.flows, held)
        mine = held.of(number, inbound=self.is_server(number))[entry]
        return step_function.steps(start[mine], end[mine])

    def timeline(self, host: str, model: str = HEADLINE, *, step_s: float = 1.0) -> "pd.DataFrame":
        """The count over time, every `step_s` seconds from the first packet.

        `at` is the count at the instant `t_s`, `max` and `mean` are over the step that begins there, `talking` the
        entries at `t_s` that have had a packet in the five seconds before.
        """
        if not step_s > 0 or step_s * 1e9 < 1:
            raise SettingsError(f"a step of {step_s} s is too short; name a positive number of seconds")
        if step_s > MOST_STEP_S:
            raise SettingsError(f"a step of {step_s} s is too long; name one up to {MOST_STEP_S:,} seconds")
        length = self.capture.last_ns - self.capture.first_ns
        rows = int(length // round(step_s * 1e9)) + 1
        if rows > 10_000_000:
            raise SettingsError(f"a step of {step_s} s makes {rows} rows; name a longer step")
        edges = self.capture.first_ns + np.arange(rows + 1) * round(step_s * 1e9)
        counted, talking = self.steps(host, model), self.talking_steps(host, model)
        area = counted.integral(edges)
        import pandas as pd

        return pd.DataFrame(
            {
                "t_s": np.arange(rows) * step_s,
                "at": counted.value(edges[:-1]),
                "max": counted.maximum(edges),
                "mean": np.diff(area) / np.diff(edges),
                "talking": talking.value(edges[:-1]),
            }
        )

    def matrix(self, host: str) -> "pd.DataFrame":
        """The verdict matrix: models down, limits across, each cell the second the limit was crossed, or NaN."""
        import pandas as pd

        number = self.host_number(host)
        rows = {model.name: self.peak(number, model).crossed_at_s for model in self.models}
        return pd.DataFrame.from_dict(rows, orient="index", columns=list(self.limits)).astype(float)
