"""The words for traffic: kinds of flow and classes of bursts and hosts, each with what people read of it.

A kind belongs to one flow, a class to a burst or to a host. How each is decided is told in docs/classes.md. Whoever
adds one is told by tests/analysis/bursts/test_vocabulary.py which parts of it are missing, and where they go.
"""

from enum import Enum, IntEnum


class FlowKind(IntEnum):
    """What one flow is, as arrays store it and in the order in which figures stack kinds. `says` puts it into words."""

    says: str

    def __new__(cls, code: int, says: str = "") -> "FlowKind":
        kind = int.__new__(cls, code)
        kind._value_ = code
        kind.says = says
        return kind

    PROBE = 0, "nobody answered, or one packet each way at most"  # Rossi et al. 2009: "probe"
    SYNC = 1, "a small answered exchange between ports that no known service has"
    HEAVY = 2, "carries weight"
    MEDIA = 3, "a call: steady small packets both ways"
    SERVICE = 4, "names, time, addresses, discovery, ping"
    ORDINARY = 5, "the rest: web, mail, chat through a server"

    @property
    def word(self) -> str:
        """The kind as tables, pictures and files name it."""
        return self.name.lower()


KIND_NAMES = tuple(kind.word for kind in FlowKind)  # by code


class TrafficClass(Enum):
    """What a burst or a host does. The value is the label that people read and type, `says` the same in words."""

    says: str

    def __new__(cls, label: str, says: str = "") -> "TrafficClass":
        traffic_class = object.__new__(cls)
        traffic_class._value_ = label
        traffic_class.says = says or label
        return traffic_class

    P2P_SYNC = "p2p-sync", "a peer-to-peer program coming online: many small exchanges"
    P2P_BULK = "p2p-bulk", "peer-to-peer file transfer"
    CLIENT_SERVER = "client-server", "a client and its server"
    WEB = "web", "web pages"
    BULK_TRANSFER = "bulk-transfer", "a large transfer"
    STREAMING = "streaming", "streaming"
    CALL = "call", "a call"
    SCAN = "scan", "a scan"
    FLOOD = "flood", "a flood"
    SPAM = "spam", "mail to many servers, as spam is sent"
    DISCOVERY = "discovery", "a program looking for others: many peers, few ports"
    UNKNOWN = "unknown", "something that the evidence does not name"
