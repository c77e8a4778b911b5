"""A Linux gateway made of network namespaces: hosts on its LAN veth, the world on its WAN veth, nothing behind either.

Frames sent into `lan` or `wan` are forwarded, tracked and swallowed on the other side: no stack answers, so nothing
is in the gateway's table but what a capture put there.
"""

import os
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.support import netns
from tests.support.netns import inside

NETLINK_NETFILTER = 12
SO_RCVBUFFORCE = 33
RECEIVE_BUFFER = 1 << 25  # bytes
GATEWAY_MAC = "02:00:00:00:00:01"  # of both its devices: what frames have to be addressed to
LARGEST_MTU = 65535  # captures taken behind segmentation offload hold frames far longer than a link carries

# Where the gateway looks for LAN addresses: those that the product takes as local unless told otherwise.
LAN_NETS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16")
LAN_NETS_V6 = ("fc00::/7",)

SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/all/send_redirects": "0",
    "net/ipv6/conf/all/forwarding": "1",
    "net/netfilter/nf_conntrack_checksum": "0",  # captures are taken before the card fills checksums in
}
DEVICE_SYSCTLS = {"net/ipv4/conf/{}/rp_filter": "0", "net/ipv4/conf/{}/send_redirects": "0"}
# What a distribution leaves as it is, and the product's Linux models assume.
EXPECTED_SYSCTLS = {
    "net/netfilter/nf_conntrack_tcp_loose": "1",
    "net/netfilter/nf_conntrack_tcp_be_liberal": "0",
    "net/netfilter/nf_conntrack_tcp_max_retrans": "3",
    "net/netfilter/nf_conntrack_tcp_ignore_invalid_rst": "0",
    "net/netfilter/nf_conntrack_tcp_timeout_syn_sent": "120",
    "net/netfilter/nf_conntrack_tcp_timeout_syn_recv": "60",
    "net/netfilter/nf_conntrack_tcp_timeout_established": "432000",
    "net/netfilter/nf_conntrack_tcp_timeout_fin_wait": "120",
    "net/netfilter/nf_conntrack_tcp_timeout_close_wait": "60",
    "net/netfilter/nf_conntrack_tcp_timeout_last_ack": "30",
    "net/netfilter/nf_conntrack_tcp_timeout_time_wait": "120",
    "net/netfilter/nf_conntrack_tcp_timeout_close": "10",
    "net/netfilter/nf_conntrack_tcp_timeout_max_retrans": "300",
    "net/netfilter/nf_conntrack_tcp_timeout_unacknowledged": "300",
    "net/netfilter/nf_conntrack_udp_timeout": "30",
    "net/netfilter/nf_conntrack_udp_timeout_stream": "120",
    "net/netfilter/nf_conntrack_icmp_timeout": "30",
    "net/netfilter/nf_conntrack_generic_timeout": "600",
}


def missing() -> str | None:
    """What this machine lacks to play gateway, or None."""
    lacking = netns.missing("nft")
    if lacking is not None:
        return lacking
    probe = f"peerburst-{os.getpid()}-probe"
    subprocess.run(["ip", "netns", "add", probe], capture_output=True, check=True)
    rules = "add table inet probe; add chain inet probe f { type filter hook forward priority 0; }; "
    rules += "add rule inet probe f ct state new counter"
    ruled = subprocess.run(
        ["ip", "netns", "exec", probe, "nft", "-f", "-"], input=rules.encode(), capture_output=True, check=False
    )
    subprocess.run(["ip", "netns", "delete", probe], capture_output=True, check=False)
    return "needs nftables with connection tracking in the kernel" if ruled.returncode else None


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def _rules(limits: Sequence[int]) -> str:
    """Tracking on, the gateway itself silent, and a log line when a source's `ct count` first exceeds each limit."""
    lines = ["table inet watch {"]
    for limit in limits:
        lines.append(f"  set over{limit} {{ type ipv4_addr; size 65535; flags dynamic; }}")
    lines.append("  chain forward { type filter hook forward priority 0; policy accept; ct state invalid counter")
    for number, limit in enumerate(limits):
        rule = f"ct state new add @over{limit} {{ ip saddr ct count over {limit} }}"
        lines.append(f"    {rule} log group {number} queue-threshold 1")
    lines += ["  }", "  chain output { type filter hook output priority 0; policy drop; }", "}"]
    return "\n".join(lines)


class Gateway:
    """One gateway; `close` (or leaving `with`) takes its namespaces away again."""

    def __init__(self, name: str, limits: Sequence[int] = ()) -> None:
        self.name = name
        self.limits = tuple(limits)
        self.namespace = f"peerburst-{os.getpid()}-{name}-gw"
        self._around = f"peerburst-{os.getpid()}-{name}-around"
        self._sockets: list[socket.socket] = []
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self) -> None:
        gateway, around = self.namespace, self._around
        for namespace in (gateway, around):
            _ip("netns", "add", namespace)
        with inside(around):
            for scope in ("all", "default"):
                Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6").write_text("1")
        for side in ("lan", "wan"):
            _ip("-n", gateway, "link", "add", side, "type", "veth", "peer", "name", side, "netns", around)
            _ip("-n", gateway, "link", "set", side, "address", GATEWAY_MAC, "arp", "off", "addrgenmode", "none")
            _ip("-n", gateway, "link", "set", side, "mtu", str(LARGEST_MTU))
            _ip("-n", around, "link", "set", side, "arp", "off", "mtu", str(LARGEST_MTU), "up")
            _ip("-n", gateway, "link", "set", side, "up")
        with inside(gateway):
            for key, value in SYSCTLS.items():
                Path("/proc/sys", key).write_text(value)
            for key, value in DEVICE_SYSCTLS.items():
                for side in ("lan", "wan"):
                    Path("/proc/sys", key.format(side)).write_text(value)
        for net in LAN_NETS:
            _ip("-n", gateway, "route", "add", net, "dev", "lan")
        for net in LAN_NETS_V6:
            _ip("-n", gateway, "-6", "route", "add", net, "dev", "lan")
        _ip("-n", gateway, "route", "add", "default", "dev", "wan")
        _ip("-n", gateway, "-6", "route", "add", "default", "dev", "wan")
        loaded = subprocess.run(
            ["ip", "netns", "exec", gateway, "nft", "-f", "-"],
            input=_rules(self.limits),
            text=True,
            capture_output=True,
            check=False,
        )
        if loaded.returncode:
            raise RuntimeError(f"nft: {loaded.stderr.strip()}")
        with inside(around):
            self.side = {side: self._packet_socket(side) for side in ("lan", "wan")}

    def _packet_socket(self, device: str) -> socket.socket:
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # protocol 0: it sends and never hears
        opened.bind((device, 0))
        self._sockets.append(opened)
        return opened

    def netlink_socket(self) -> socket.socket:
        """A netfilter netlink socket in the gateway's namespace; the gateway closes it."""
        with inside(self.namespace):
            opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        opened.bind((0, 0))
        self._sockets.append(opened)
        return opened

    def sysctls(self) -> dict[str, str]:
        """What the gateway runs with, of EXPECTED_SYSCTLS."""
        with inside(self.namespace):
            return {key: Path("/proc/sys", key).read_text().strip() for key in EXPECTED_SYSCTLS}

    def close(self) -> None:
        """Close the sockets and delete the namespaces."""
        for opened in self._sockets:
            opened.close()
        for namespace in (self.namespace, self._around):
            subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, check=False)

    def __enter__(self) -> "Gateway":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
