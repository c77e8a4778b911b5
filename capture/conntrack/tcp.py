"""One TCP packet on a live entry of Linux's table: is it within the windows, where does it lead, what does it renew.

The rules and names are those of net/netfilter/nf_conntrack_proto_tcp.c (6.x), with its defaults: pick-ups allowed
(nf_conntrack_tcp_loose 1), windows held strictly (nf_conntrack_tcp_be_liberal 0), resets checked
(nf_conntrack_tcp_ignore_invalid_rst 0). The idea of the windows is Guido van Rooij's, "Real Stateful TCP Packet
Filtering in IP Filter" (2000). docs/conntrack.md tells it as a whole.

Sequence numbers are modulo 2^32.
"""

from typing import NamedTuple

import numpy as np

from peerburst.capture.compiled.kernel import inlined_part, part
from peerburst.capture.compiled.shapes import Bool, Int, Record
from peerburst.capture.conntrack.states import (
    CLOSE,
    ESTABLISHED,
    FIN_WAIT,
    IGNORED,
    INVALID,
    IPS_ASSURED,
    IPS_SEEN_REPLY,
    LAST_ACK,
    NONE,
    ORIGINAL,
    REPLY,
    RETRANSMITTED,
    SYN_RECV,
    SYN_SENT,
    SYN_SENT2,
    TCP_ACK,
    TCP_ACK_SET,
    TCP_CONNTRACKS,
    TCP_FIN_SET,
    TCP_RST,
    TCP_RST_SET,
    TCP_SYN_SET,
    TCP_SYNACK_SET,
    TIME_WAIT,
    UNACKNOWLEDGED,
)
from peerburst.capture.packets.record import HAS_OPTIONS, SCALE_BITS
from peerburst.capture.packets.transport import TCP_SYN

# What is remembered of one connection is a cache line: a half for each direction (struct ip_ct_tcp_state), that of the
# packet that opened the entry first, and in the room they leave what is remembered of the latest packet (the last_
# fields of struct ip_ct_tcp). One array is seen through both types, because a kernel reads a record's fields faster
# than an array's elements (one bounds check).
TCP_SIDE = np.dtype(
    {
        "names": [
            "td_end",  # one past the last byte sent
            "td_maxend",  # one past the last byte that the other end would take
            "td_maxwin",  # the widest window offered; 0 as long as nothing is known of this side
            "td_maxack",  # the highest acknowledgement sent
            "td_scale",  # of its windows (RFC 7323)
            "flags",  # IP_CT_TCP_FLAG_WINDOW_SCALE and the like
        ],
        "formats": [np.uint32, np.uint32, np.uint32, np.uint32, np.uint8, np.uint8],
        "offsets": [0, 4, 8, 12, 16, 17],
        "itemsize": 32,
    }
)
TCP_STATE = np.dtype(
    {
        "names": [
            "last_seq",  # the numbers of the latest packet without SYN, FIN or RST, or of the latest ignored one
            "last_ack",
            "last_end",
            "last_win",
            "last_index",  # what the latest packet was: TCP_SYN_SET and the like
            "last_dir",  # ORIGINAL or REPLY
            "retrans",  # how often those numbers were repeated
            "last_wscale",  # of an ignored SYN
            "last_flags",  # of an ignored SYN and what follows from it
        ],
        "formats": [np.uint32, np.uint32, np.uint32, np.uint16, np.uint8, np.uint8, np.uint8, np.uint8, np.uint8],
        "offsets": [20, 24, 28, 52, 54, 55, 56, 57, 58],
        "itemsize": 64,
    }
)

IP_CT_TCP_FLAG_WINDOW_SCALE = 0x01
IP_CT_TCP_FLAG_SACK_PERM = 0x02
IP_CT_TCP_FLAG_CLOSE_INIT = 0x04  # sent the first FIN
IP_CT_TCP_FLAG_BE_LIBERAL = 0x08  # picked up mid-stream: windows are guesses and hold nobody back
IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED = 0x10  # data that the other end has not acknowledged
IP_CT_TCP_FLAG_MAXACK_SET = 0x20  # td_maxack is known
IP_CT_EXP_CHALLENGE_ACK = 0x40  # a SYN while waiting for the last ACK: the next ACK may be an RFC 5961 challenge
IP_CT_TCP_SIMULTANEOUS_OPEN = 0x80  # both ends sent a SYN

OPTION_FLAGS_SHIFT = 4  # of a packet's `options`: above the scale stand the two flags of the same meaning here
OPTION_FLAGS = IP_CT_TCP_FLAG_WINDOW_SCALE | IP_CT_TCP_FLAG_SACK_PERM

MAX_RETRANS = 3  # nf_conntrack_tcp_max_retrans
MAXACKWINCONST = 66000  # how far behind the other end's data an acknowledgement may be

U32 = 0xFFFFFFFF
HALF = 0x80000000

# The decision on a packet.
RENEWED = 0
LEFT_ALONE = 1  # seen, but the timeout goes on as it was
DELETED = 2
REOPENED = 3  # the entry goes, and the packet opens a new one
CUT_SHORT = 4  # a longer timeout is cut to that of unacknowledged data

# enum nf_ct_tcp_action, and of a reset that needs no windows to agree.
NFCT_TCP_ACCEPT, NFCT_TCP_IGNORE, NFCT_TCP_INVALID, _ACCEPTED_AT_ONCE = range(4)


class TcpPacket(NamedTuple):
    """What the rules ask of a TCP packet."""

    tcp_index: Int  # TCP_SYN_SET and the like
    flags: Int
    seq: Int
    end: Int  # one past its last sequence number
    ack: Int
    sack: Int  # the highest number acknowledged, selectively or not
    window: Int  # as it stands in the header
    options: Int  # of a SYN, as in PACKET


class Connection(NamedTuple):
    """What is remembered of a connection, seen from the sender of the packet at hand."""

    sender: Record  # TCP_SIDE
    receiver: Record  # TCP_SIDE
    last: Record  # TCP_STATE


@part
def before(a: Int, b: Int) -> Bool:
    """Whether sequence number a comes before b."""
    return ((a - b) & U32) >= HALF


@part
def tcp_new_syn(known: Connection, end: Int, window: Int, options: Int) -> None:
    """Remember a connection by its first SYN."""
    sender, receiver, last = known
    win = max(window, 1)
    _forget(known)
    sender["td_end"] = end
    sender["td_maxend"] = end
    sender["td_maxwin"] = win
    sender["td_scale"] = options & SCALE_BITS
    sender["flags"] = options >> OPTION_FLAGS_SHIFT & OPTION_FLAGS
    receiver["td_maxend"] = win  # the SYN acknowledges 0
    last["last_index"] = TCP_SYN_SET


@part
def tcp_new_loose(known: Connection, packet: TcpPacket) -> None:
    """Remember a connection that is picked up at a packet without SYN (nf_conntrack_tcp_loose)."""
    sender, receiver, last = known
    win = max(packet.window, 1)
    _forget(known)
    sender["td_end"] = packet.end
    sender["td_maxwin"] = win
    sender["td_maxend"] = (packet.end + win) & U32
    sender["flags"] = IP_CT_TCP_FLAG_SACK_PERM | IP_CT_TCP_FLAG_BE_LIBERAL
    receiver["flags"] = IP_CT_TCP_FLAG_SACK_PERM | IP_CT_TCP_FLAG_BE_LIBERAL
    # Plain numbers would have numba compile it once more, for these two alone.
    tcp_in_window(known, packet, np.int64(ORIGINAL), np.int64(ESTABLISHED))
    last["last_index"] = TCP_ACK_SET


@part
def tcp_new(index: Int) -> tuple[int, int]:
    """(state, phase) of the entry that a TCP packet of this kind opens; (NONE, NONE) if it opens none."""
    state = TCP_CONNTRACKS[ORIGINAL, index, NONE]
    if state == SYN_SENT:
        return SYN_SENT, SYN_SENT
    if state == ESTABLISHED:  # picked up mid-stream; nobody has answered yet
        return ESTABLISHED, UNACKNOWLEDGED
    return NONE, NONE


@part
def _forget(known: Connection) -> None:
    sender, receiver, last = known
    _clear_side(sender)
    _clear_side(receiver)
    last["last_seq"] = 0
    last["last_ack"] = 0
    last["last_end"] = 0
    last["last_win"] = 0
    last["last_index"] = 0
    last["last_dir"] = ORIGINAL
    last["retrans"] = 0
    last["last_wscale"] = 0
    last["last_flags"] = 0


@part
def _clear_side(side: Record) -> None:
    side["td_end"] = 0
    side["td_maxend"] = 0
    side["td_maxwin"] = 0
    side["td_maxack"] = 0
    side["td_scale"] = 0
    side["flags"] = 0


@part
def _tcp_init_sender(sender: Record, receiver: Record, packet: TcpPacket, dir: Int) -> None:
    """Take a sender's SYN as the beginning of its side. Windows scale only if both ends said so (RFC 7323)."""
    sender["td_end"] = packet.end
    sender["td_maxend"] = packet.end
    sender["td_maxwin"] = max(packet.window, 1)
    if packet.options & HAS_OPTIONS:
        sender["td_scale"] = packet.options & SCALE_BITS
        kept = sender["flags"] & IP_CT_TCP_FLAG_BE_LIBERAL
        sender["flags"] = kept | (packet.options >> OPTION_FLAGS_SHIFT & OPTION_FLAGS)
    if dir == REPLY and not sender["flags"] & receiver["flags"] & IP_CT_TCP_FLAG_WINDOW_SCALE:
        sender["td_scale"] = 0
        receiver["td_scale"] = 0


@part
def _tcp_init_late(sender: Record, receiver: Record, packet: TcpPacket, sack: Int) -> None:
    """Take a sender's first packet without SYN as the beginning of its side."""
    win = max(packet.window << np.int64(sender["td_scale"]), 1)
    sender["td_end"] = packet.end
    sender["td_maxwin"] = win
    sender["td_maxend"] = (packet.end + win) & U32
    if receiver["td_maxwin"] == 0:
        receiver["td_end"] = sack
        receiver["td_maxend"] = sack
    elif sack == (np.int64(receiver["td_end"]) + 1) & U32:  # the answer to a keep-alive
        receiver["td_end"] = sack


@inlined_part
def tcp_in_window(known: Connection, packet: TcpPacket, dir: Int, state: Int) -> int:
    """Hold a packet against the windows and, if it is within, move them: NFCT_TCP_ACCEPT, _IGNORE or _INVALID."""
    sender, receiver, last = known
    flags, seq, end, ack = packet.flags, packet.seq, packet.end, packet.ack
    sack = packet.sack if receiver["flags"] & IP_CT_TCP_FLAG_SACK_PERM else ack
    if sender["td_maxwin"] == 0:
        if flags & TCP_SYN:
            _tcp_init_sender(sender, receiver, packet, dir)
            if not flags & TCP_ACK:
                return NFCT_TCP_ACCEPT
        else:
            _tcp_init_late(sender, receiver, packet, sack)
    elif flags & TCP_SYN and (state == SYN_SENT or state == SYN_RECV) and before(np.int64(sender["td_end"]), end):
        _tcp_init_sender(sender, receiver, packet, dir)  # a new attempt on the same ports
        if dir == REPLY and not flags & TCP_ACK:
            return NFCT_TCP_ACCEPT

    sent, taken = np.int64(sender["td_end"]), np.int64(receiver["td_end"])
    if not flags & TCP_ACK or (flags & TCP_RST and ack == 0):
        ack = sack = taken
    if flags & TCP_RST and seq == 0 and state == SYN_SENT:  # the answer to a SYN
        seq = end = sent

    maxend, maxwin, receiver_maxwin = (
        np.int64(sender["td_maxend"]),
        np.int64(sender["td_maxwin"]),
        np.int64(receiver["td_maxwin"]),
    )
    is_over = not before(seq, maxend + 1)
    acks_unseen = not before(sack, taken + 1)
    reach = maxwin if maxwin > MAXACKWINCONST else np.int64(MAXACKWINCONST)
    acks_old = not before(taken - reach - 1, sack)
    is_old = not before(sent - receiver_maxwin - 1, end)
    if is_over or acks_unseen or acks_old or (is_old and receiver_maxwin):
        action = NFCT_TCP_IGNORE
        if is_over:
            overshot = (end - maxend + 1) & U32
            if receiver_maxwin and overshot <= receiver_maxwin and not is_old and not acks_old and not acks_unseen:
                # More than the window allowed. The other end may take it all the same, and acknowledge it.
                sender["td_end"] = end
                sender["flags"] |= IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED
            else:
                action = NFCT_TCP_INVALID
        elif acks_unseen:
            action = NFCT_TCP_INVALID
        return NFCT_TCP_ACCEPT if sender["flags"] & IP_CT_TCP_FLAG_BE_LIBERAL else action
    _move_windows(sender, receiver, packet, seq, end, ack, sack)
    if packet.tcp_index == TCP_ACK_SET:
        _count_retrans(last, dir, seq, ack, packet.window, end)
    return NFCT_TCP_ACCEPT


@inlined_part
def _move_windows(sender: Record, receiver: Record, packet: TcpPacket, seq: Int, end: Int, ack: Int, sack: Int) -> None:
    """Move the windows by a packet that is within them; its numbers are as `tcp_in_window` took them."""
    flags = np.int64(sender["flags"])
    win = packet.window if packet.flags & TCP_SYN else packet.window << np.int64(sender["td_scale"])
    swin = (win + sack - ack) & U32
    if np.int64(sender["td_maxwin"]) < swin:
        sender["td_maxwin"] = swin
    if before(np.int64(sender["td_end"]), end):
        sender["td_end"] = end
        flags |= IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED
    if packet.flags & TCP_ACK and (not flags & IP_CT_TCP_FLAG_MAXACK_SET or before(np.int64(sender["td_maxack"]), ack)):
        sender["td_maxack"] = ack
        flags |= IP_CT_TCP_FLAG_MAXACK_SET
    sender["flags"] = flags

    past = (end - np.int64(sender["td_maxend"])) & U32
    if receiver["td_maxwin"] and 0 < past < HALF:
        receiver["td_maxwin"] = (np.int64(receiver["td_maxwin"]) + past) & U32
    edge = (sack + win) & U32
    if before(np.int64(receiver["td_maxend"]) - 1, edge):
        receiver["td_maxend"] = (edge + (win == 0)) & U32
    if ack == np.int64(receiver["td_end"]) and receiver["flags"] & IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED:
        receiver["flags"] -= IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED


@part
def _count_retrans(last: Record, dir: Int, seq: Int, ack: Int, window: Int, end: Int) -> None:
    if (
        last["last_seq"] == seq
        and last["last_ack"] == ack
        and last["last_end"] == end
        and last["last_win"] == window
        and last["last_dir"] == dir
    ):
        last["retrans"] = (np.int64(last["retrans"]) + 1) & 255
        return
    last["last_dir"] = dir
    last["last_seq"] = seq
    last["last_ack"] = ack
    last["last_end"] = end
    last["last_win"] = window
    last["retrans"] = 0


@part
def _note_last(last: Record, dir: Int, index: Int) -> None:
    last["last_index"] = index
    last["last_dir"] = dir


@part
def _may_reopen(known: Connection, dir: Int) -> Bool:
    """Whether a SYN on a closed entry begins a new connection: it was closed in order, or by this end's reset."""
    sender, receiver, last = known
    in_order: Bool = (sender["flags"] | receiver["flags"]) & IP_CT_TCP_FLAG_CLOSE_INIT != 0
    own_reset: Bool = last["last_index"] == TCP_RST_SET and last["last_dir"] == dir
    return in_order or own_reset


@part
def _answers_ignored_syn(last: Record, packet: TcpPacket, dir: Int) -> Bool:
    """Whether a SYN+ACK acknowledges a SYN that was let through: the ends are in step, the table was not."""
    after_syn = last["last_index"] == TCP_SYN_SET and last["last_dir"] != dir
    return packet.tcp_index == TCP_SYNACK_SET and after_syn and last["last_end"] == packet.ack


@part
def _get_in_step(known: Connection) -> None:
    """Begin both sides anew: the receiver from the ignored SYN, the sender from the packet at hand."""
    sender, receiver, last = known
    liberal = sender["flags"] & IP_CT_TCP_FLAG_BE_LIBERAL
    _clear_side(sender)
    sender["flags"] = liberal
    last["last_flags"] -= last["last_flags"] & IP_CT_EXP_CHALLENGE_ACK
    receiver["td_end"] = last["last_end"]
    receiver["td_maxend"] = last["last_end"]
    receiver["td_maxwin"] = max(np.int64(last["last_win"]), 1)
    receiver["td_scale"] = last["last_wscale"]
    receiver["flags"] = last["last_flags"] & OPTION_FLAGS


@part
def _note_ignored(last: Record, packet: TcpPacket, dir: Int, state: Int) -> None:
    """Keep what an ignored packet said: the answer to it may show that the table is out of step."""
    _note_last(last, dir, packet.tcp_index)
    last["last_seq"] = packet.seq
    last["last_end"] = packet.end
    last["last_win"] = packet.window
    if packet.tcp_index == TCP_SYN_SET and dir == ORIGINAL:
        last["last_wscale"] = packet.options & SCALE_BITS
        challenge = IP_CT_EXP_CHALLENGE_ACK if state == LAST_ACK else 0
        last["last_flags"] = (packet.options >> OPTION_FLAGS_SHIFT & OPTION_FLAGS) | challenge
    if state == SYN_SENT and packet.tcp_index == TCP_ACK_SET and dir == REPLY:
        last["last_ack"] = packet.ack


@part
def _is_challenge(last: Record, index: Int, dir: Int, state: Int) -> Bool:
    """Whether an ACK is the RFC 5961 challenge to a stray SYN, and not the last one of the close."""
    after_syn = last["last_index"] == TCP_SYN_SET and last["last_dir"] != dir
    is_expected = last["last_flags"] & IP_CT_EXP_CHALLENGE_ACK != 0 and after_syn
    return is_expected and state == LAST_ACK and index == TCP_ACK_SET


@part
def _reset(known: Connection, packet: TcpPacket, dir: Int, state: Int, status: Int) -> tuple[Int, int]:
    """(the state that a reset leads to, what becomes of it).

    NFCT_TCP_ACCEPT: the windows still have to agree; _ACCEPTED_AT_ONCE: they need not.
    """
    _sender, receiver, last = known
    new: Int = CLOSE
    if state >= FIN_WAIT and state <= CLOSE:  # the ports may have been used anew already
        return CLOSE, _ACCEPTED_AT_ONCE
    index, from_other = last["last_index"], last["last_dir"] != dir
    if receiver["flags"] & IP_CT_TCP_FLAG_MAXACK_SET and index != TCP_SYN_SET:
        maxack = np.int64(receiver["td_maxack"])
        established = state == ESTABLISHED and status & IPS_ASSURED != 0
        if packet.seq == 0 and not established:  # the answer to a SYN that was let through
            return CLOSE, NFCT_TCP_ACCEPT
        if before(packet.seq, maxack):
            return state, NFCT_TCP_INVALID
        follows_own_data = index == TCP_ACK_SET and not from_other and last["last_end"] == packet.seq
        if not established or packet.seq == maxack or follows_own_data:
            return CLOSE, NFCT_TCP_ACCEPT
        new = state  # not exact: leave room for a challenge (RFC 5961)
    let_syn_through = status & IPS_SEEN_REPLY != 0 and index == TCP_SYN_SET
    let_through = let_syn_through or (status & IPS_ASSURED == 0 and index == TCP_ACK_SET)
    if let_through and from_other and last["last_end"] == packet.ack:  # the direction is 6.18's, not older kernels'
        return new, _ACCEPTED_AT_ONCE
    after_challenge = index == TCP_ACK_SET and last["last_dir"] == REPLY and last["last_ack"] == packet.seq
    if state == SYN_SENT and after_challenge:
        return new, _ACCEPTED_AT_ONCE
    return new, NFCT_TCP_ACCEPT


@part
def _handle_invalid(last: Record, index: Int, dir: Int, status: Int) -> int:
    """What an out-of-window packet does (nf_tcp_handle_invalid).

    A FIN or RST from each end means that the table is out of step.
    """
    if status & IPS_ASSURED == 0 or (index != TCP_RST_SET and index != TCP_FIN_SET):
        return LEFT_ALONE
    if last["last_dir"] != dir and (last["last_index"] == TCP_FIN_SET or last["last_index"] == TCP_RST_SET):
        return CUT_SHORT
    _note_last(last, dir, index)
    return LEFT_ALONE


@part
def _timeout(known: Connection, new: Int, index: Int) -> Int:
    """The phase whose timeout a valid packet leaves. Only an established entry has one longer than five minutes."""
    sender, receiver, last = known
    if new == ESTABLISHED and last["retrans"] >= MAX_RETRANS:
        return RETRANSMITTED
    if index == TCP_RST_SET:
        return CLOSE
    if new == ESTABLISHED:
        if (sender["flags"] | receiver["flags"]) & IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED:
            return UNACKNOWLEDGED
        if last["last_win"] == 0:
            return RETRANSMITTED
    return new


@inlined_part
def tcp_packet(known: Connection, packet: TcpPacket, dir: Int, state: Int, status: Int) -> tuple[Int, Int, Int, int]:
    """One TCP packet on a live entry (nf_conntrack_tcp_packet): (state, phase, status, decision)."""
    sender, _receiver, last = known
    index = packet.tcp_index
    old, new, action = state, TCP_CONNTRACKS[dir, index, state], NFCT_TCP_ACCEPT
    if new == INVALID:
        return state, NONE, status, LEFT_ALONE
    seen = status | IPS_SEEN_REPLY if dir == REPLY else status
    if index == TCP_ACK_SET and state == ESTABLISHED:
        pass  # nearly every packet: asked first, it saves a tenth of the flow table's time
    elif new == IGNORED or (new == SYN_SENT and state >= TIME_WAIT):
        if new == SYN_SENT and _may_reopen(known, dir):
            return state, NONE, status, REOPENED
        if not _answers_ignored_syn(last, packet, dir):
            _note_ignored(last, packet, dir, state)
            return state, NONE, seen, LEFT_ALONE
        old, new = SYN_SENT, SYN_RECV
        _get_in_step(known)
    elif new == TIME_WAIT:
        if _is_challenge(last, index, dir, state):
            last["last_flags"] -= IP_CT_EXP_CHALLENGE_ACK
            return state, NONE, seen, LEFT_ALONE
    elif new == SYN_SENT2:
        last["last_flags"] |= IP_CT_TCP_SIMULTANEOUS_OPEN
    elif new == SYN_RECV:
        if dir == REPLY and index == TCP_ACK_SET and last["last_flags"] & IP_CT_TCP_SIMULTANEOUS_OPEN:
            new = ESTABLISHED
    elif index == TCP_RST_SET:
        new, action = _reset(known, packet, dir, state, status)
        if action == NFCT_TCP_INVALID:
            return state, NONE, status, LEFT_ALONE
    if action == NFCT_TCP_ACCEPT:
        action = tcp_in_window(known, packet, dir, state)
        if action == NFCT_TCP_IGNORE:
            return state, NONE, seen, LEFT_ALONE
        if action == NFCT_TCP_INVALID:
            return state, NONE, status, _handle_invalid(last, index, dir, status)
    _note_last(last, dir, index)
    if new == FIN_WAIT and old != FIN_WAIT:
        sender["flags"] |= IP_CT_TCP_FLAG_CLOSE_INIT
    phase = _timeout(known, new, index)
    if not status & IPS_SEEN_REPLY:
        if index == TCP_RST_SET:  # refused, or given up before any answer: nothing to remember
            return NONE, NONE, seen, DELETED
        if index == TCP_SYN_SET and old == SYN_SENT:
            return new, NONE, seen, LEFT_ALONE  # a repeated SYN does not renew
        if new == ESTABLISHED and phase == ESTABLISHED:
            phase = UNACKNOWLEDGED
    elif new == ESTABLISHED and (old == SYN_RECV or old == ESTABLISHED):
        seen |= IPS_ASSURED
    return new, phase, seen, RENEWED
