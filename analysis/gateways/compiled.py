"""Gateway models as kernels take them: named arrays with one element per model, in nanoseconds and codes."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from peerburst.analysis.gateways.model import Begins, Engine, GatewayModel, TwoWay, Unit
from peerburst.capture.compiled.shapes import Int, Int64s, Records
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


# The rules of one model besides its timeouts.
RULES = np.dtype(
    [
        ("engine", np.uint8),  # STATES and the like
        ("two_way", np.uint8),  # AFTER_REPLY and the like: when UDP's exchange is two-way
        ("protocols", np.uint8),  # TAKES_TCP and the like: which protocols are counted at all
        ("families", np.uint8),  # TAKES_IPV4 and TAKES_IPV6
        ("reset_deletes", np.bool_),  # a RST that nobody answered deletes the entry
        ("leaves_out_closed", np.bool_),  # TIME_WAIT and CLOSE are held, and not counted
        ("from_established", np.bool_),  # counted from ESTABLISHED on
        ("is_mapping", np.bool_),  # entries of one local address, port and protocol unite
    ]
)


class CompiledModels(NamedTuple):
    """Some gateway models; one row of each field per model."""

    rules: Records  # RULES
    timeout: Int64s  # (models, TIMEOUTS), ns


class ModelRange(NamedTuple):
    """The models [low, high) of some CompiledModels."""

    low: Int
    high: Int


def compile_models(models: Sequence[GatewayModel]) -> CompiledModels:
    """These models as kernels take them, in their order."""
    rules = np.zeros(len(models), RULES)
    for rule, model in zip(rules, models, strict=True):
        rule["engine"] = ENGINES[model.engine]
        rule["two_way"] = _two_way(model)
        rule["protocols"] = sum(PROTOCOL_BITS[name] for name in model.protocols)
        rule["families"] = sum(FAMILY_BITS[name] for name in model.families)
        rule["reset_deletes"] = model.reset_deletes_unanswered
        rule["leaves_out_closed"] = bool(model.left_out)
        rule["from_established"] = model.begins is Begins.ESTABLISHED
        rule["is_mapping"] = model.unit is Unit.MAPPING
    timeouts = np.array([_timeouts_ns(model) for model in models], np.int64)
    return CompiledModels(rules, timeouts.reshape(-1, TIMEOUTS))


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
