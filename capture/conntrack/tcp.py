"""One TCP packet on a live entry of Linux's table: is it within the windows, where does it lead, what does it renew.

The rules are those of net/netfilter/nf_conntrack_proto_tcp.c (6.x), with its defaults: pick-ups allowed (tcp_loose),
windows held strictly (tcp_be_liberal 0) and resets checked (tcp_ignore_invalid_rst 0). The idea of the windows is Guido
van Rooij's, "Real Stateful TCP Packet Filtering in IP Filter" (2000).

Sequence numbers are modulo 2^32.
"""

import numpy as np

from peerburst.capture.compiled.kernel import inlined_part, part
from peerburst.capture.conntrack.states import (
    ASSURED,
    CLOSE,
    ESTABLISHED,
    FIN_WAIT,
    IGNORED,
    INVALID,
    IS_ACK,
    IS_FIN,
    IS_RST,
    IS_SYN,
    IS_SYNACK,
    LAST_ACK,
    NONE,
    REPLIED,
    RETRANSMITTED,
    SYN_RECV,
    SYN_SENT,
    SYN_SENT2,
    TCP_ACK,
    TCP_RST,
    TCP_SYN,
    TIME_WAIT,
    TRANSITIONS,
    UNACKNOWLEDGED,
)
from peerburst.capture.packets.decode import HAS_OPTIONS, HAS_SCALE, MAY_SACK, SCALE_BITS

# What is remembered of one connection is a cache line: a half for each way, 0 that of the packet that opened the entry
# and 1 that of its replies, and in the room they leave what is remembered of the latest packet. One array is seen
# through both types, because a kernel reads a record's fields faster than an array's elements (one bounds check).
SIDE = np.dtype(
    {
        "names": ["end", "most_end", "most_window", "most_ack", "offer"],
        "formats": [np.uint32] * 5,
        "itemsize": 32,
    }
)
LINE = np.dtype(
    {
        "names": ["seq", "ack", "end", "window", "kind", "way", "repeats", "offer"],
        "formats": [np.uint32, np.uint32, np.uint32, np.uint16, np.uint8, np.uint8, np.uint8, np.uint16],
        "offsets": [20, 24, 28, 52, 54, 55, 56, 58],
        "itemsize": 64,
    }
)
# SIDE: `end` is one past the last byte sent, `most_end` one past the last byte that the other end would take,
# `most_window` the widest window offered, `most_ack` the highest acknowledgement sent, `offer` the options of its SYN
# (packets.HAS_SCALE and the like) and the flags below.
# LINE: `kind` and `way` of the latest packet; numbers of the latest without SYN, FIN or RST, and how often it was
# repeated, or of the latest ignored one; `offer` are the options of an ignored SYN and what follows from it.

# Flags of a side's `offer`.
LIBERAL = 256  # picked up mid-stream: windows are guesses and hold nobody back
UNANSWERED = 512  # data that the other end has not acknowledged
ACK_SENT = 1024  # `most_ack` is known
BEGAN_CLOSE = 2048  # sent the first FIN
# Flags of a line's `offer`.
CHALLENGED = 256  # a SYN while waiting for the last ACK: the next ACK may be an RFC 5961 challenge
SIMULTANEOUS = 512  # both ends sent a SYN

MOST_REPEATS = 3  # nf_conntrack_tcp_max_retrans
LEAST_ACK_WINDOW = 66000  # how far behind the other end's data an acknowledgement may be

WORD = 0xFFFFFFFF
HALF = 0x80000000

# What became of a packet.
RENEWED = 0
LEFT_ALONE = 1  # seen, but the timeout goes on as it was
DELETED = 2
REOPENED = 3  # the entry goes, and the packet opens a new one
CUT_SHORT = 4  # a longer timeout is cut to that of unacknowledged data

_WITHIN, _OVERLOOKED, _OUTSIDE, _TAKEN = range(4)


@part
def _before(a, b):  # type: ignore[no-untyped-def]
    """Whether sequence number a comes before b."""
    return ((a - b) & WORD) >= HALF


@part
def begin_by_syn(mine, other, last, end, window, options):  # type: ignore[no-untyped-def]
    """What the kernel remembers of a connection after its first SYN."""
    window = max(window, 1)
    _forget(mine, other, last)
    mine["end"] = end
    mine["most_end"] = end
    mine["most_window"] = window
    mine["offer"] = options
    other["most_end"] = window  # the SYN acknowledges 0
    last["kind"] = IS_SYN


@part
def begin_mid_stream(mine, other, last, flags, seq, ack, sack, window, end):  # type: ignore[no-untyped-def]
    """What the kernel remembers of a connection that it picks up at a packet without SYN."""
    widest = max(window, 1)
    _forget(mine, other, last)
    mine["end"] = end
    mine["most_window"] = widest
    mine["most_end"] = (end + widest) & WORD
    mine["offer"] = MAY_SACK | LIBERAL
    other["offer"] = MAY_SACK | LIBERAL
    _check(mine, other, last, 0, ESTABLISHED, IS_ACK, flags, seq, ack, sack, window, end, 0)
    last["kind"] = IS_ACK


@part
def _forget(mine, other, last):  # type: ignore[no-untyped-def]
    _clear_side(mine)
    _clear_side(other)
    last["seq"] = 0
    last["ack"] = 0
    last["end"] = 0
    last["window"] = 0
    last["kind"] = 0
    last["way"] = 0
    last["repeats"] = 0
    last["offer"] = 0


@part
def _clear_side(side):  # type: ignore[no-untyped-def]
    side["end"] = 0
    side["most_end"] = 0
    side["most_window"] = 0
    side["most_ack"] = 0
    side["offer"] = 0


@part
def _begin_sender(mine, other, way, window, end, options):  # type: ignore[no-untyped-def]
    """Take a sender's SYN as the beginning of its side. Windows scale only if both ends said so (RFC 7323)."""
    mine["end"] = end
    mine["most_end"] = end
    mine["most_window"] = max(window, 1)
    if options & HAS_OPTIONS:
        mine["offer"] = (mine["offer"] & LIBERAL) | options
    if way == 1 and not mine["offer"] & other["offer"] & HAS_SCALE:
        mine["offer"] -= mine["offer"] & SCALE_BITS
        other["offer"] -= other["offer"] & SCALE_BITS


@part
def _begin_late(mine, other, sack, window, end):  # type: ignore[no-untyped-def]
    """Take a sender's first packet without SYN as the beginning of its side."""
    widest = max(window << np.int64(mine["offer"] & SCALE_BITS), 1)
    mine["end"] = end
    mine["most_window"] = widest
    mine["most_end"] = (end + widest) & WORD
    if other["most_window"] == 0:
        other["end"] = sack
        other["most_end"] = sack
    elif sack == (np.int64(other["end"]) + 1) & WORD:  # the answer to a keep-alive
        other["end"] = sack


@inlined_part
def _check(mine, other, last, way, state, kind, flags, seq, ack, sack, window, end, options):  # type: ignore[no-untyped-def]
    """Hold a packet against the windows and, if it is within, move them: _WITHIN, _OVERLOOKED or _OUTSIDE."""
    if not other["offer"] & MAY_SACK:
        sack = ack
    if mine["most_window"] == 0:
        if flags & TCP_SYN:
            _begin_sender(mine, other, way, window, end, options)
            if not flags & TCP_ACK:
                return _WITHIN
        else:
            _begin_late(mine, other, sack, window, end)
    elif flags & TCP_SYN and (state == SYN_SENT or state == SYN_RECV) and _before(np.int64(mine["end"]), end):
        _begin_sender(mine, other, way, window, end, options)  # a new attempt on the same ports
        if way == 1 and not flags & TCP_ACK:
            return _WITHIN

    sent, taken = np.int64(mine["end"]), np.int64(other["end"])
    if not flags & TCP_ACK or (flags & TCP_RST and ack == 0):
        ack = sack = taken
    if flags & TCP_RST and seq == 0 and state == SYN_SENT:  # the answer to a SYN
        seq = end = sent

    most, width, other_width = np.int64(mine["most_end"]), np.int64(mine["most_window"]), np.int64(other["most_window"])
    too_far = not _before(seq, most + 1)
    acks_unseen = not _before(sack, taken + 1)
    reach = width if width > LEAST_ACK_WINDOW else np.int64(LEAST_ACK_WINDOW)
    acks_old = not _before(taken - reach - 1, sack)
    is_old = not _before(sent - other_width - 1, end)
    if too_far or acks_unseen or acks_old or (is_old and other_width):
        how = _OVERLOOKED
        if too_far:
            over = (end - most + 1) & WORD
            if other_width and over <= other_width and not is_old and not acks_old and not acks_unseen:
                # More than the window allowed. The other end may take it all the same, and acknowledge it.
                mine["end"] = end
                mine["offer"] |= UNANSWERED
            else:
                how = _OUTSIDE
        elif acks_unseen:
            how = _OUTSIDE
        return _WITHIN if mine["offer"] & LIBERAL else how
    _move(mine, other, flags, seq, ack, sack, window, end)
    if kind == IS_ACK:
        _count_repeats(last, way, seq, ack, window, end)
    return _WITHIN


@inlined_part
def _move(mine, other, flags, seq, ack, sack, window, end):  # type: ignore[no-untyped-def]
    """Move the windows by a packet that is within them."""
    offer = np.int64(mine["offer"])
    offered = window if flags & TCP_SYN else window << (offer & SCALE_BITS)
    width = (offered + sack - ack) & WORD
    if np.int64(mine["most_window"]) < width:
        mine["most_window"] = width
    if _before(np.int64(mine["end"]), end):
        mine["end"] = end
        offer |= UNANSWERED
    if flags & TCP_ACK and (not offer & ACK_SENT or _before(np.int64(mine["most_ack"]), ack)):
        mine["most_ack"] = ack
        offer |= ACK_SENT
    mine["offer"] = offer

    past = (end - np.int64(mine["most_end"])) & WORD
    if other["most_window"] and 0 < past < HALF:
        other["most_window"] = (np.int64(other["most_window"]) + past) & WORD
    edge = (sack + offered) & WORD
    if _before(np.int64(other["most_end"]) - 1, edge):
        other["most_end"] = (edge + (offered == 0)) & WORD
    if ack == np.int64(other["end"]) and other["offer"] & UNANSWERED:
        other["offer"] -= UNANSWERED


@part
def _count_repeats(last, way, seq, ack, window, end):  # type: ignore[no-untyped-def]
    if (
        last["seq"] == seq
        and last["ack"] == ack
        and last["end"] == end
        and last["window"] == window
        and last["way"] == way
    ):
        last["repeats"] = (np.int64(last["repeats"]) + 1) & 255
        return
    last["way"] = way
    last["seq"] = seq
    last["ack"] = ack
    last["end"] = end
    last["window"] = window
    last["repeats"] = 0


@part
def _note_last(last, way, kind):  # type: ignore[no-untyped-def]
    last["kind"] = kind
    last["way"] = way


@part
def _may_reopen(mine, other, last, way):  # type: ignore[no-untyped-def]
    """Whether a SYN on a closed entry begins a new connection: it was closed in order, or by this end's reset."""
    return (mine["offer"] | other["offer"]) & BEGAN_CLOSE != 0 or (last["kind"] == IS_RST and last["way"] == way)


@part
def _answers_ignored_syn(last, way, kind, ack):  # type: ignore[no-untyped-def]
    """Whether a SYN+ACK acknowledges a SYN that was let through: the ends are in step, the table was not."""
    return kind == IS_SYNACK and last["kind"] == IS_SYN and last["way"] != way and last["end"] == ack


@part
def _get_in_step(mine, other, last):  # type: ignore[no-untyped-def]
    """Begin both sides anew: the other from the ignored SYN, this one from the packet at hand."""
    liberal = mine["offer"] & LIBERAL
    _clear_side(mine)
    mine["offer"] = liberal
    last["offer"] -= last["offer"] & CHALLENGED
    other["end"] = last["end"]
    other["most_end"] = last["end"]
    other["most_window"] = max(np.int64(last["window"]), 1)
    other["offer"] = last["offer"] & (SCALE_BITS | HAS_SCALE | MAY_SACK)


@part
def _note_ignored(last, way, state, kind, seq, ack, window, end, options):  # type: ignore[no-untyped-def]
    """Keep what an ignored packet said: the answer to it may show that the table is out of step."""
    _note_last(last, way, kind)
    last["seq"] = seq
    last["end"] = end
    last["window"] = window
    if kind == IS_SYN and way == 0:
        last["offer"] = options | (CHALLENGED if state == LAST_ACK else 0)
    if state == SYN_SENT and kind == IS_ACK and way == 1:
        last["ack"] = ack


@part
def _is_challenge(last, way, state, kind):  # type: ignore[no-untyped-def]
    """Whether an ACK is the RFC 5961 challenge to a stray SYN, and not the last one of the close."""
    awaited = last["offer"] & CHALLENGED != 0 and last["kind"] == IS_SYN and last["way"] != way
    return awaited and state == LAST_ACK and kind == IS_ACK


@part
def _reset(other, last, way, state, marks, seq, ack):  # type: ignore[no-untyped-def]
    """(state a reset leads to, _WITHIN if the windows still have to agree, _TAKEN if they need not, or _OUTSIDE)."""
    if state >= FIN_WAIT and state <= CLOSE:  # the ports may have been used anew already
        return CLOSE, _TAKEN
    new = CLOSE
    if other["offer"] & ACK_SENT and last["kind"] != IS_SYN:
        wanted = np.int64(other["most_ack"])
        established = state == ESTABLISHED and marks & ASSURED != 0
        if seq == 0 and not established:  # the answer to a SYN that was let through
            return CLOSE, _WITHIN
        if _before(seq, wanted):
            return state, _OUTSIDE
        follows_own_data = last["kind"] == IS_ACK and last["way"] == way and last["end"] == seq
        if not established or seq == wanted or follows_own_data:
            return CLOSE, _WITHIN
        new = state  # not exact: leave room for a challenge (RFC 5961)
    kind = last["kind"]
    let_through = (marks & REPLIED != 0 and kind == IS_SYN) or (marks & ASSURED == 0 and kind == IS_ACK)
    if let_through and last["way"] != way and last["end"] == ack:  # the way is 6.18's, not that of older kernels
        return new, _TAKEN
    if state == SYN_SENT and kind == IS_ACK and last["way"] == 1 and last["ack"] == seq:
        return new, _TAKEN
    return new, _WITHIN


@part
def _outside(last, way, marks, kind):  # type: ignore[no-untyped-def]
    """What an out-of-window packet does: a FIN or RST from each end means that the table is out of step."""
    if marks & ASSURED == 0 or (kind != IS_RST and kind != IS_FIN):
        return LEFT_ALONE
    if last["way"] != way and (last["kind"] == IS_FIN or last["kind"] == IS_RST):
        return CUT_SHORT
    _note_last(last, way, kind)
    return LEFT_ALONE


@part
def _timeout(mine, other, last, new, kind):  # type: ignore[no-untyped-def]
    """The phase whose timeout a valid packet leaves. Only an established entry has one longer than five minutes."""
    if new == ESTABLISHED and last["repeats"] >= MOST_REPEATS:
        return RETRANSMITTED
    if kind == IS_RST:
        return CLOSE
    if new == ESTABLISHED:
        if (mine["offer"] | other["offer"]) & UNANSWERED:
            return UNACKNOWLEDGED
        if last["window"] == 0:
            return RETRANSMITTED
    return new


@inlined_part
def next_tcp(mine, other, last, state, marks, way, kind, flags, seq, ack, sack, window, end, options):  # type: ignore[no-untyped-def]
    """One TCP packet on a live entry: (state, phase, marks, verdict).

    `mine`: the sender's SIDE, `other`: the receiver's, `last`: the LINE of both; `way`: 1 of a reply; `end`: one past
    the packet's last sequence number.
    """
    old, new, how = state, TRANSITIONS[way, kind, state], _WITHIN
    if new == INVALID:
        return state, NONE, marks, LEFT_ALONE
    seen = marks | REPLIED if way == 1 else marks
    if kind == IS_ACK and state == ESTABLISHED:
        pass  # nearly every packet: asked first, it saves a tenth of the flow table's time
    elif new == IGNORED or (new == SYN_SENT and state >= TIME_WAIT):
        if new == SYN_SENT and _may_reopen(mine, other, last, way):
            return state, NONE, marks, REOPENED
        if not _answers_ignored_syn(last, way, kind, ack):
            _note_ignored(last, way, state, kind, seq, ack, window, end, options)
            return state, NONE, seen, LEFT_ALONE
        old, new = SYN_SENT, SYN_RECV
        _get_in_step(mine, other, last)
    elif new == TIME_WAIT:
        if _is_challenge(last, way, state, kind):
            last["offer"] -= CHALLENGED
            return state, NONE, seen, LEFT_ALONE
    elif new == SYN_SENT2:
        last["offer"] |= SIMULTANEOUS
    elif new == SYN_RECV:
        if way == 1 and kind == IS_ACK and last["offer"] & SIMULTANEOUS:
            new = ESTABLISHED
    elif kind == IS_RST:
        new, how = _reset(other, last, way, state, marks, seq, ack)
        if how == _OUTSIDE:
            return state, NONE, marks, LEFT_ALONE
    if how == _WITHIN:
        how = _check(mine, other, last, way, state, kind, flags, seq, ack, sack, window, end, options)
        if how == _OVERLOOKED:
            return state, NONE, seen, LEFT_ALONE
        if how == _OUTSIDE:
            return state, NONE, marks, _outside(last, way, marks, kind)
    _note_last(last, way, kind)
    if new == FIN_WAIT and old != FIN_WAIT:
        mine["offer"] |= BEGAN_CLOSE
    phase = _timeout(mine, other, last, new, kind)
    if not marks & REPLIED:
        if kind == IS_RST:  # refused, or given up before any answer: nothing to remember
            return NONE, NONE, seen, DELETED
        if kind == IS_SYN and old == SYN_SENT:
            return new, NONE, seen, LEFT_ALONE  # a repeated SYN does not renew
        if new == ESTABLISHED and phase == ESTABLISHED:
            phase = UNACKNOWLEDGED
    elif new == ESTABLISHED and (old == SYN_RECV or old == ESTABLISHED):
        seen |= ASSURED
    return new, phase, seen, RENEWED
