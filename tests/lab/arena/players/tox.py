"""Tox through its C interface (libtoxcore), many instances in one process, each with the sockets of its own namespace.

Peers, friends and groups are toxcore's; this only says who knows whom, and when somebody is away.
"""

import ctypes
from collections.abc import Callable
from ctypes import POINTER, byref, c_bool, c_char_p, c_int, c_size_t, c_uint8, c_uint16, c_uint32, c_void_p
from dataclasses import dataclass, field

from tests.lab.arena.namespaces import inside

KEY_BYTES = 32
FAILED = 0xFFFFFFFF
SAVED_STATE = 1  # TOX_SAVEDATA_TYPE_TOX_SAVE
FIRST_PORT, LAST_PORT = 33445, 33545  # toxcore's own
PUBLIC_GROUP = 0

Invited = ctypes.CFUNCTYPE(None, c_void_p, c_uint32, POINTER(c_uint8), c_size_t, POINTER(c_uint8), c_size_t, c_void_p)
ConferenceInvited = ctypes.CFUNCTYPE(None, c_void_p, c_uint32, c_int, POINTER(c_uint8), c_size_t, c_void_p)
Connected = ctypes.CFUNCTYPE(None, c_void_p, c_uint32, c_int, c_void_p)
Joined = ctypes.CFUNCTYPE(None, c_void_p, c_uint32, c_uint32, c_void_p)

_SIGNATURES: dict[str, tuple[object, tuple[object, ...]]] = {
    "tox_new": (c_void_p, (c_void_p, POINTER(c_int))),
    "tox_kill": (None, (c_void_p,)),
    "tox_iterate": (None, (c_void_p, c_void_p)),
    "tox_options_new": (c_void_p, (POINTER(c_int),)),
    "tox_options_free": (None, (c_void_p,)),
    "tox_options_set_ipv6_enabled": (None, (c_void_p, c_bool)),
    "tox_options_set_udp_enabled": (None, (c_void_p, c_bool)),
    "tox_options_set_local_discovery_enabled": (None, (c_void_p, c_bool)),
    "tox_options_set_start_port": (None, (c_void_p, c_uint16)),
    "tox_options_set_end_port": (None, (c_void_p, c_uint16)),
    "tox_options_set_tcp_port": (None, (c_void_p, c_uint16)),
    "tox_options_set_savedata_type": (None, (c_void_p, c_int)),
    "tox_options_set_savedata_data": (None, (c_void_p, c_char_p, c_size_t)),
    "tox_get_savedata_size": (c_size_t, (c_void_p,)),
    "tox_get_savedata": (None, (c_void_p, c_char_p)),
    "tox_self_get_public_key": (None, (c_void_p, c_char_p)),
    "tox_self_get_dht_id": (None, (c_void_p, c_char_p)),
    "tox_self_get_udp_port": (c_uint16, (c_void_p, POINTER(c_int))),
    "tox_bootstrap": (c_bool, (c_void_p, c_char_p, c_uint16, c_char_p, POINTER(c_int))),
    "tox_add_tcp_relay": (c_bool, (c_void_p, c_char_p, c_uint16, c_char_p, POINTER(c_int))),
    "tox_friend_add_norequest": (c_uint32, (c_void_p, c_char_p, POINTER(c_int))),
    "tox_friend_delete": (c_bool, (c_void_p, c_uint32, POINTER(c_int))),
    "tox_friend_send_message": (c_uint32, (c_void_p, c_uint32, c_int, c_char_p, c_size_t, POINTER(c_int))),
    "tox_callback_friend_connection_status": (None, (c_void_p, Connected)),
    "tox_conference_new": (c_uint32, (c_void_p, POINTER(c_int))),
    "tox_conference_invite": (c_bool, (c_void_p, c_uint32, c_uint32, POINTER(c_int))),
    "tox_conference_join": (c_uint32, (c_void_p, c_uint32, c_void_p, c_size_t, POINTER(c_int))),
    "tox_conference_peer_count": (c_uint32, (c_void_p, c_uint32, POINTER(c_int))),
    "tox_conference_send_message": (c_bool, (c_void_p, c_uint32, c_int, c_char_p, c_size_t, POINTER(c_int))),
    "tox_callback_conference_invite": (None, (c_void_p, ConferenceInvited)),
}
# Since 0.2.19.
_GROUP_SIGNATURES: dict[str, tuple[object, tuple[object, ...]]] = {
    "tox_options_set_experimental_groups_persistence": (None, (c_void_p, c_bool)),
    "tox_group_new": (c_uint32, (c_void_p, c_int, c_char_p, c_size_t, c_char_p, c_size_t, POINTER(c_int))),
    "tox_group_get_chat_id": (c_bool, (c_void_p, c_uint32, c_char_p, POINTER(c_int))),
    "tox_group_join": (c_uint32, (c_void_p, c_char_p, c_char_p, c_size_t, c_char_p, c_size_t, POINTER(c_int))),
    "tox_group_invite_friend": (c_bool, (c_void_p, c_uint32, c_uint32, POINTER(c_int))),
    "tox_group_invite_accept": (
        c_uint32,
        (c_void_p, c_uint32, c_void_p, c_size_t, c_char_p, c_size_t, c_char_p, c_size_t, POINTER(c_int)),
    ),
    "tox_group_send_message": (c_uint32, (c_void_p, c_uint32, c_int, c_char_p, c_size_t, POINTER(c_int))),
    "tox_callback_group_invite": (None, (c_void_p, Invited)),
    "tox_callback_group_peer_join": (None, (c_void_p, Joined)),
}


def load(path: str) -> ctypes.CDLL:
    """libtoxcore, its functions typed; those of groups are left out where it has none."""
    library = ctypes.CDLL(path)
    has_groups = hasattr(library, "tox_group_new")
    for name, (result, arguments) in {**_SIGNATURES, **(_GROUP_SIGNATURES if has_groups else {})}.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


@dataclass(frozen=True, slots=True)
class Node:
    """Where a DHT node is to be found. `relay_port` 0: it relays nothing."""

    address: str
    port: int
    key: bytes
    relay_port: int


@dataclass(slots=True)
class Counts:
    """What an instance has seen come and go."""

    friends: set[int] = field(default_factory=set)  # on line now
    members: set[tuple[int, int]] = field(default_factory=set)  # (group, peer) pairs that joined since the start
    groups: int = 0  # it is in


class Tox:
    """One instance. It accepts every invitation, and writes to friends who come back what was kept for them."""

    def __init__(
        self, library: ctypes.CDLL, namespace: str, *, state: bytes = b"", start_port: int = 0, relay_port: int = 0
    ) -> None:
        self._library, self.namespace = library, namespace
        self.counts = Counts()
        self.waiting: dict[int, list[bytes]] = {}  # letters by friend number
        self._callbacks: list[object] = []  # C holds their addresses, so Python must hold them
        options = library.tox_options_new(None)
        library.tox_options_set_ipv6_enabled(options, False)
        library.tox_options_set_local_discovery_enabled(options, False)
        if self.has_groups:  # off unless asked for: clients do
            library.tox_options_set_experimental_groups_persistence(options, True)
        if start_port:
            library.tox_options_set_start_port(options, start_port)
            library.tox_options_set_end_port(options, start_port + 50)
        if relay_port:
            library.tox_options_set_tcp_port(options, relay_port)
        if state:
            library.tox_options_set_savedata_type(options, SAVED_STATE)
            library.tox_options_set_savedata_data(options, state, len(state))
        error = c_int()
        with inside(namespace):
            self._tox = library.tox_new(options, byref(error))
        library.tox_options_free(options)
        if not self._tox:
            raise RuntimeError(f"toxcore does not start: error {error.value}")
        self._listen()

    def _listen(self) -> None:
        self._call_back("friend_connection_status", Connected(self._on_friend))
        self._call_back("conference_invite", ConferenceInvited(self._on_conference))
        if self.has_groups:
            self._call_back("group_invite", Invited(self._on_group))
            self._call_back("group_peer_join", Joined(self._on_member))

    def _call_back(self, event: str, function: Callable[..., None]) -> None:
        self._callbacks.append(function)
        getattr(self._library, f"tox_callback_{event}")(self._tox, function)

    @property
    def has_groups(self) -> bool:
        """Whether this version knows groups, in which everybody talks to everybody, not conferences alone."""
        return hasattr(self._library, "tox_group_new")

    def _on_friend(self, _tox: int, friend: int, status: int, _user: int) -> None:
        if not status:
            self.counts.friends.discard(friend)
            return
        self.counts.friends.add(friend)
        for letter in self.waiting.pop(friend, []):
            self._library.tox_friend_send_message(self._tox, friend, 0, letter, len(letter), None)

    def _on_conference(self, _tox: int, friend: int, _kind: int, cookie: object, length: int, _user: int) -> None:
        if self._library.tox_conference_join(self._tox, friend, cookie, length, None) != FAILED:
            self.counts.groups += 1

    def _on_group(self, _tox: int, friend: int, data: object, size: int, _name: object, _n: int, _user: int) -> None:
        done = self._library.tox_group_invite_accept(self._tox, friend, data, size, b"member", 6, None, 0, None)
        if done != FAILED:
            self.counts.groups += 1

    def _on_member(self, _tox: int, group: int, peer: int, _user: int) -> None:
        self.counts.members.add((group, peer))

    def iterate(self) -> None:
        """Do what is due. Sockets opened meanwhile are of this instance's namespace: `enter` it before."""
        self._library.tox_iterate(self._tox, None)

    def kill(self) -> None:
        """Go off line."""
        self._library.tox_kill(self._tox)
        self._tox = None

    def state(self) -> bytes:
        """What a client writes to its disk."""
        state = ctypes.create_string_buffer(self._library.tox_get_savedata_size(self._tox))
        self._library.tox_get_savedata(self._tox, state)
        return state.raw

    def key(self) -> bytes:
        """The public key by which friends know this instance."""
        key = ctypes.create_string_buffer(KEY_BYTES)
        self._library.tox_self_get_public_key(self._tox, key)
        return key.raw

    def node(self, address: str, relay_port: int = 0) -> Node:
        """This instance as a node to start from."""
        key = ctypes.create_string_buffer(KEY_BYTES)
        self._library.tox_self_get_dht_id(self._tox, key)
        return Node(address, self._library.tox_self_get_udp_port(self._tox, None), key.raw, relay_port)

    def start_from(self, node: Node) -> None:
        """Take this node for a way into the network, and as a relay if it is one."""
        host = node.address.encode()
        self._library.tox_bootstrap(self._tox, host, node.port, node.key, None)
        if node.relay_port:
            self._library.tox_add_tcp_relay(self._tox, host, node.relay_port, node.key, None)

    def befriend(self, key: bytes) -> int:
        """Know a friend; the friend's number."""
        return int(self._library.tox_friend_add_norequest(self._tox, key, None))

    def forget(self, friend: int) -> None:
        """Know a friend no more; groups in common stay."""
        self._library.tox_friend_delete(self._tox, friend, None)

    def new_group(self, name: str) -> int:
        """A public group."""
        self.counts.groups += 1
        return int(self._library.tox_group_new(self._tox, PUBLIC_GROUP, name.encode(), len(name), b"host", 4, None))

    def chat_id(self, group: int) -> bytes:
        """By which a public group is found in the DHT."""
        key = ctypes.create_string_buffer(KEY_BYTES)
        self._library.tox_group_get_chat_id(self._tox, group, key, None)
        return key.raw

    def join_group(self, chat_id: bytes) -> int:
        """Look for a public group and join it."""
        self.counts.groups += 1
        return int(self._library.tox_group_join(self._tox, chat_id, b"member", 6, None, 0, None))

    def invite(self, friend: int, group: int) -> bool:
        """Ask a friend into a group."""
        return bool(self._library.tox_group_invite_friend(self._tox, group, friend, None))

    def new_conference(self) -> int:
        """A conference, toxcore's older kind of group: everybody keeps to a few neighbours in it."""
        return int(self._library.tox_conference_new(self._tox, None))

    def invite_to_conference(self, friend: int, conference: int) -> bool:
        """Ask a friend into a conference."""
        return bool(self._library.tox_conference_invite(self._tox, friend, conference, None))

    def members(self, conference: int) -> int:
        """How many are in a conference."""
        return int(self._library.tox_conference_peer_count(self._tox, conference, None))

    def write(self, group: int, text: bytes, *, conference: bool) -> None:
        """Say something in a group or a conference."""
        say = self._library.tox_conference_send_message if conference else self._library.tox_group_send_message
        say(self._tox, group, 0, text, len(text), None)
