"""Gateway models as kernels take them: named arrays with one element per model, in nanoseconds and codes."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from peerburst.analysis.gateways.model import Begins, Engine, GatewayModel, TwoWay, Unit
from peerburst.capture.compiled.shapes import Bools, Int64s, UInt8s
from peerburst.capture.conntrack.states import PHASES, Phase
from peerburst.capture.units import SECOND_NS

FOREVER_NS = 1 << 61  # of a timeout that never comes; start + FOREVER_NS still fits

# Timeouts are by Phase, then by those of two finer phases.
SYN_REPEATED = PHASES  # the SYN was sent again, still no answer
UDP_FIRST = PHASES + 1  # a single packet so far
TIMEOUTS = PHASES + 2

PHASE_NAMES = {
    int(Phase.SYN_SENT): "syn_sent",
    int(Phase.SYN_RECV): "syn_recv",
    int(Phase.ESTABLISHED): "established",
    int(Phase.FIN_WAIT): "fin_wait",
    int(Phase.CLOSE_WAIT): "close_wait",
    int(Phase.LAST_ACK): "last_ack",
    int(Phase.TIME_WAIT): "time_wait",
    int(Phase.CLOSE): "close",
    int(Phase.SYN_SENT2): "syn_sent2",
    int(Phase.RETRANSMITTED): "tcp_retransmitted",
    int(Phase.UNACKNOWLEDGED): "tcp_unacknowledged",
    int(Phase.UDP): "udp_one_way",
    int(Phase.UDP_STREAM): "udp_two_way",
    int(Phase.ICMP): "icmp",
    int(Phase.OTHER): "other",
    int(Phase.GRE): "gre_one_way",
    int(Phase.GRE_STREAM): "gre_two_way",
    int(Phase.SCTP): "sctp_one_way",
    int(Phase.SCTP_ESTABLISHED): "sctp_two_way",
    SYN_REPEATED: "syn_repeated",
    UDP_FIRST: "udp_first",
}

# Codes of `engine` and `two_way`, bits of `protocols` and `families`.
STATES, LINUX, FLAT, SYN_FIN = range(4)
AFTER_REPLY, AFTER_SECOND_REQUEST, AFTER_ANY, AS_STREAM = range(4)
TAKES_TCP, TAKES_UDP, TAKES_ICMP, TAKES_OTHER = 1, 2, 4, 8
TAKES_IPV4, TAKES_IPV6 = 1, 2

ENGINES = {Engine.STATES: STATES, Engine.LINUX: LINUX, Engine.FLAT: FLAT, Engine.SYN_FIN: SYN_FIN}
TWO_WAYS = {
    TwoWay.REPLY: AFTER_REPLY,
    TwoWay.SECOND_REQUEST: AFTER_SECOND_REQUEST,
    TwoWay.STREAM: AS_STREAM,
}
PROTOCOL_BITS = {"tcp": TAKES_TCP, "udp": TAKES_UDP, "icmp": TAKES_ICMP, "other": TAKES_OTHER}
FAMILY_BITS = {"ipv4": TAKES_IPV4, "ipv6": TAKES_IPV6}


class CompiledModels(NamedTuple):
    """Some gateway models; each field has one element, or one row, per model."""

    engine: UInt8s  # STATES and the like
    two_way: UInt8s  # AFTER_REPLY and the like: when UDP's exchange is two-way
    protocols: UInt8s  # TAKES_TCP and the like: which protocols are counted at all
    families: UInt8s  # TAKES_IPV4 and TAKES_IPV6
    reset_deletes: Bools  # a RST that nobody answered deletes the entry
    leaves_out_closed: Bools  # TIME_WAIT and CLOSE are held, and not counted
    from_established: Bools  # counted from ESTABLISHED on
    is_mapping: Bools  # entries of one local address, port and protocol unite
    timeout: Int64s  # (models, TIMEOUTS), ns


class ModelRange(NamedTuple):
    """The models [low, high) of some CompiledModels."""

    low: int
    high: int


def compile_models(models: Sequence[GatewayModel]) -> CompiledModels:
    """These models as kernels take them, in their order."""
    return CompiledModels(
        engine=np.array([ENGINES[model.engine] for model in models], np.uint8),
        two_way=np.array([_two_way(model) for model in models], np.uint8),
        protocols=np.array([sum(PROTOCOL_BITS[name] for name in model.protocols) for model in models], np.uint8),
        families=np.array([sum(FAMILY_BITS[name] for name in model.families) for model in models], np.uint8),
        reset_deletes=np.array([model.reset_deletes_unanswered for model in models], np.bool_),
        leaves_out_closed=np.array([bool(model.left_out) for model in models], np.bool_),
        from_established=np.array([model.begins is Begins.ESTABLISHED for model in models], np.bool_),
        is_mapping=np.array([model.unit is Unit.MAPPING for model in models], np.bool_),
        timeout=np.array([_timeouts_ns(model) for model in models], np.int64).reshape(-1, TIMEOUTS),
    )


def _two_way(model: GatewayModel) -> int:
    if model.two_way_after is TwoWay.STREAM and model.stream_age_s == 0:
        return AFTER_ANY  # without a least age, the packet after the reply makes the stream
    return TWO_WAYS[model.two_way_after]


def _timeouts_ns(model: GatewayModel) -> list[int]:
    timeouts = [0] * TIMEOUTS
    for phase, name in PHASE_NAMES.items():
        seconds = model.timeout_s(name)
        timeouts[phase] = FOREVER_NS if seconds * SECOND_NS >= FOREVER_NS else round(seconds * SECOND_NS)
    return timeouts


def shortest_gaps_s(models: Sequence[GatewayModel]) -> dict[Phase, float]:
    """Per phase, the shortest timeout of any of the models that counts it: a longer silence must end a segment."""

    def shortest(*names: str) -> float:
        return min((m.timeout_s(name) for m in models for name in names if m.counts(name)), default=math.inf)

    gaps = {phase: shortest(PHASE_NAMES[phase]) for phase in Phase if phase is not Phase.NONE}
    gaps[Phase.SYN_SENT] = shortest("syn_sent", "syn_repeated")
    gaps[Phase.UDP] = gaps[Phase.UDP_STREAM] = shortest("udp_first", "udp_one_way", "udp_two_way")
    return {phase: gap for phase, gap in gaps.items() if gap < math.inf}
