"""What every link type of the registry must have besides its decoder; a failure says what is missing, and where."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from peerburst.capture.links import registry
from peerburst.capture.links.registry import LINK_TYPES, LinkType
from tests.capture.links.test_registry import FRAMINGS, IPV6_FRAMINGS
from tests.support.packets_by_hand import pcap
from tests.support.paths import ROOT

REGISTRY = "capture/links/registry.py"
PACKETS = "tests/capture/links/test_registry.py"
DOCS = "docs/architecture.md"
# Where libpcap has another name inside of programs (DLT_) than in files (LINKTYPE_), or on Linux none.
OTHERWISE_NAMED = {
    "ETHERNET": "EN10MB",
    "RAW_BSD": "RAW",
    "RAW_OPENBSD": "14",
    "PPP_HDLC": "PPP_SERIAL",
    "IEEE802_11_RADIOTAP": "IEEE802_11_RADIO",
}
LARGEST_NUMBER = 0xFFFF  # a pcapng interface description has two bytes for it


def documented_links() -> str:
    """What "Formats read" says of link types."""
    text = (ROOT / DOCS).read_text()
    return text.partition("- **Links**")[2].partition("- **")[0]


def packets_of(number: int) -> list[str]:
    """The packets that the test of link layers has of it, by name."""
    framings = [*FRAMINGS.items(), *IPV6_FRAMINGS.items()]
    return [name for name, (link, _framing) in framings if link == number]


def missing(link_type: LinkType) -> list[str]:
    """A sentence for each part that it lacks."""
    number, name = link_type.number, link_type.name
    complaints = {
        f"{number!r} ({name}) is no link type's number: see {REGISTRY}": number in range(LARGEST_NUMBER + 1),
        f"link type {number} has no name in libpcap's words: see {REGISTRY}": name.isidentifier() and name.isupper(),
        f"{name} has no decoder: it belongs in a file of capture/links, and on its line in {REGISTRY}": callable(
            link_type.decoder
        ),
        f"{name} ({number}) has no packet: it belongs in FRAMINGS of {PACKETS}": bool(packets_of(number)),
        f"{name} is documented as {link_type.documented_as!r}, which is not among the links of {DOCS}": bool(
            link_type.documented_as
        )
        and link_type.documented_as in documented_links(),
    }
    return [sentence for sentence, is_there in complaints.items() if not is_there]


@pytest.mark.parametrize("link_type", LINK_TYPES, ids=lambda one: f"{one.number}-{one.name}")
def test_a_link_type_lacks_nothing(link_type: LinkType) -> None:
    assert not missing(link_type), "\n".join(missing(link_type))


def test_no_number_is_registered_twice() -> None:
    numbers = [one.number for one in LINK_TYPES]
    assert sorted(set(numbers)) == sorted(numbers)


def test_every_packet_of_the_tests_is_of_a_registered_link_type() -> None:
    registered = {one.number for one in LINK_TYPES}
    assert {link for link, _framing in [*FRAMINGS.values(), *IPV6_FRAMINGS.values()]} <= registered


def test_every_decoder_stands_in_a_file_of_its_family() -> None:
    modules = {one.documented_as: set[str]() for one in LINK_TYPES}
    for one in LINK_TYPES:
        modules[one.documented_as].add(one.decoder.__module__)
    assert all(len(files) == 1 for files in modules.values())
    assert registry.__name__ not in set().union(*modules.values())


ETHERNET = LINK_TYPES[0]


@pytest.mark.parametrize(
    ("incomplete", "what", "where"),
    [
        (replace(ETHERNET, number=1 << 16), "number", REGISTRY),
        (replace(ETHERNET, name=""), "name", REGISTRY),
        (replace(ETHERNET, decoder=None), "decoder", "capture/links"),
        (replace(ETHERNET, number=147), "packet", PACKETS),
        (replace(ETHERNET, documented_as="Token Ring"), "Token Ring", DOCS),
    ],
    ids=["number", "name", "decoder", "packet", "documentation"],
)
def test_what_is_missing_is_said_with_the_file_where_it_belongs(incomplete: LinkType, what: str, where: str) -> None:
    complaints = missing(incomplete)
    assert any(what in one and where in one for one in complaints)
    assert not missing(ETHERNET)


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed")
@pytest.mark.parametrize("link_type", LINK_TYPES, ids=lambda one: f"{one.number}-{one.name}")
def test_libpcap_has_that_name_for_that_number(link_type: LinkType, tmp_path: Path) -> None:
    capture = tmp_path / "empty.pcap"
    capture.write_bytes(pcap([], link=link_type.number))
    said = subprocess.run(["tcpdump", "-r", str(capture)], capture_output=True, text=True, check=False).stderr
    name = said.partition("link-type ")[2].split()[0].rstrip(",")
    assert name == OTHERWISE_NAMED.get(link_type.name, link_type.name)
