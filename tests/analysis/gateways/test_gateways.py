"""Gateway models: the shipped numbers against their sources, the loader's errors, the documentation page.

The numbers below are written out from the sources quoted beside them, not from the model files, so that a slip in a
file shows here.
"""

import math
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from peerburst.analysis import gateways
from peerburst.analysis.gateways import DEFAULT_MODELS, PHASES, Begins, Engine, Sure, TwoWay, Unit, load, names, page
from peerburst.analysis.gateways.catalogue import FOLDER, LARGEST_FILE
from peerburst.capture.errors import SettingsError
from peerburst.capture.flows import record
from tests.support import paths

DOCS = paths.DOCS / "gateways.md"

MINUTE, HOUR, DAY = 60, 3600, 86400

# Documentation/networking/nf_conntrack-sysctl.rst: nf_conntrack_tcp_timeout_syn_sent 120, syn_recv 60, established
# 432000 (5 days), fin_wait 120, close_wait 60, last_ack 30, time_wait 120, close 10, max_retrans 300, unacknowledged
# 300; udp_timeout 30, udp_timeout_stream 120; icmp_timeout 30; generic_timeout 600. nf_conntrack_proto_tcp.c:
# TCP_CONNTRACK_SYN_SENT2 2 MINS.
LINUX = {
    "syn_sent": 120,
    "syn_repeated": 120,
    "syn_sent2": 2 * MINUTE,
    "syn_recv": 60,
    "established": 5 * DAY,
    "fin_wait": 120,
    "close_wait": 60,
    "last_ack": 30,
    "time_wait": 120,
    "close": 10,
    "tcp_retransmitted": 300,
    "tcp_unacknowledged": 300,
    "udp_first": 30,
    "udp_one_way": 30,
    "udp_two_way": 120,
    "icmp": 30,
    "other": 600,
    # nf_conntrack_gre_timeout 30, _stream 180; nf_conntrack_sctp_timeout_cookie_wait 3, established 210
    "gre_one_way": 30,
    "gre_two_way": 180,
    "sctp_one_way": 3,
    "sctp_two_way": 210,
}
OF_THEIR_OWN = {name: LINUX[name] for name in ("gre_one_way", "gre_two_way", "sctp_one_way", "sctp_two_way")}


def pf(first: float, opening: float, established: float, closing: float, finwait: float, closed: float) -> dict:
    """pf's phases from pfctl's hint table; UDP, ICMP and other from pf.h: 60/30/60, 20, 60."""
    return {
        "syn_sent": first,
        "syn_repeated": opening,
        "syn_sent2": opening,
        "syn_recv": opening,
        "established": established,
        "fin_wait": closing,
        "close_wait": closing,
        "last_ack": finwait,
        "time_wait": closed,
        "close": closed,
        "udp_first": 60,
        "udp_one_way": 30,
        "udp_two_way": 60,
        "icmp": 20,
        "other": 60,
    }


def states(syn: float, established: float, closing: tuple[float, ...], udp: float, icmp: float, other: float) -> dict:
    """A gateway with one half-open and one UDP timer; `closing` is fin_wait, close_wait, last_ack, time_wait, close."""
    closing_states = ("fin_wait", "close_wait", "last_ack", "time_wait", "close")
    return {
        **dict.fromkeys(("syn_sent", "syn_repeated", "syn_sent2", "syn_recv"), syn),
        "established": established,
        **dict(zip(closing_states, closing, strict=True)),
        **dict.fromkeys(("udp_first", "udp_one_way", "udp_two_way"), udp),
        "icmp": icmp,
        "other": other,
    }


# RFC 5382 REQ-5: established not less than 2 hours 4 minutes, transitory not less than 4 minutes. RFC 4787 REQ-5c: five
# minutes or more recommended. RFC 5508 REQ-2: 60 seconds. Not a word on other protocols.
RFC = states(240, 2 * HOUR + 4 * MINUTE, (7440, 7440, 240, 240, 240), 300, 60, 0)

SECONDS = {
    "linux-conntrack": LINUX,
    "linux-connlimit": LINUX,
    # pfctl.c pf_hint_normal: first 2 * 60, opening 30, established 24 * 60 * 60, closing 15 * 60, finwait 45, closed 90
    "pf-normal": pf(2 * 60, 30, 24 * 60 * 60, 15 * 60, 45, 90),
    # pf_hint_satellite: 3 * 60, 30 + 5, 24 * 60 * 60, 15 * 60 + 5, 45 + 5, 90 + 5
    "pf-high-latency": pf(3 * 60, 30 + 5, 24 * 60 * 60, 15 * 60 + 5, 45 + 5, 90 + 5),
    # pf_hint_aggressive: 30, 5, 5 * 60 * 60, 60, 30, 30
    "pf-aggressive": pf(30, 5, 5 * 60 * 60, 60, 30, 30),
    # pf_hint_conservative: 60 * 60, 15 * 60, 5 * 24 * 60 * 60, 60 * 60, 10 * 60, 3 * 60
    "pf-conservative": pf(60 * 60, 15 * 60, 5 * 24 * 60 * 60, 60 * 60, 10 * 60, 3 * 60),
    # ASA guide: embryonic 0:0:30, conn 1:00:00, half-closed 0:10:00 (once the FIN is acknowledged), slots freed about
    # 60 seconds after a normal close, udp 0:02:00, icmp 0:00:02, idle for any protocol 1:0:0
    "cisco-asa": states(30, HOUR, (HOUR, 10 * MINUTE, 10 * MINUTE, 60, 0), 2 * MINUTE, 2, HOUR),
    # IOS command reference: syn 60, tcp 86,400, finrst 60, udp 300, icmp 60, other dynamic translations 86,400
    "cisco-ios-nat": states(60, 24 * HOUR, (24 * HOUR, 60, 60, 60, 60), 300, 60, 24 * HOUR),
    # MikroTik wiki: 5s, 5s, 1d, then 10s for every closing state, udp 10s, udp-stream 3m, icmp 10s, generic 10m
    "mikrotik": {
        **states(5, DAY, (10, 10, 10, 10, 10), 10, 10, 10 * MINUTE),
        "udp_two_way": 3 * MINUTE,
        "tcp_retransmitted": 5 * MINUTE,
        "tcp_unacknowledged": 5 * MINUTE,
        **OF_THEIR_OWN,  # the kernel's
    },
    # FortiOS: halfopen 10, session-ttl 3600, halfclose 120, timewait 1 (after both FINs), rst 5, udp-idle 180
    "fortigate": states(10, 3600, (120, 120, 1, 1, 5), 180, 60, 3600),
    # Junos: tcp-initial-timeout 20; TCP 30 minutes, UDP 1, ICMP 1, other 30; one FIN changes nothing; terminated 10 s
    "juniper-srx": states(20, 30 * MINUTE, (1800, 1800, 10, 10, 10), MINUTE, MINUTE, 30 * MINUTE),
    # VPC guide: idle for 350 seconds or more; a graceful close leaves the active state; only TCP, UDP and ICMP
    "aws-nat-gateway": states(350, 350, (350, 350, 350, 0, 0), 350, 350, 0),
    "rfc": RFC,
    "nat-mapping": RFC,
    # init-bare.zeek: tcp_attempt_delay 5 secs, tcp_inactivity 5 min, close and reset delay 5 secs, udp, icmp, ip 1 min
    "zeek": {**states(5, 5 * MINUTE, (300, 300, 5, 5, 5), MINUTE, MINUTE, MINUTE), "syn_recv": 5 * MINUTE},
}

ALL = {"tcp", "udp", "icmp", "other"}

# name: engine, unit, protocols, left out, RST deletes, two-way after, stream age
RULES = {
    "linux-connlimit": ("linux", "entry", ALL, {"time_wait", "close"}, True, "stream", 2),
    "linux-conntrack": ("linux", "entry", ALL, set(), True, "stream", 2),
    "pf-normal": ("states", "entry", ALL, set(), False, "second-request", 0),
    "pf-high-latency": ("states", "entry", ALL, set(), False, "second-request", 0),
    "pf-aggressive": ("states", "entry", ALL, set(), False, "second-request", 0),
    "pf-conservative": ("states", "entry", ALL, set(), False, "second-request", 0),
    "cisco-asa": ("states", "entry", ALL, set(), False, "reply", 0),
    "cisco-ios-nat": ("states", "entry", ALL, set(), False, "reply", 0),
    "mikrotik": ("linux", "entry", ALL, set(), True, "stream", 0),
    "fortigate": ("states", "entry", ALL, set(), False, "reply", 0),
    "juniper-srx": ("states", "entry", ALL, set(), False, "reply", 0),
    "aws-nat-gateway": ("states", "entry", {"tcp", "udp", "icmp"}, set(), False, "reply", 0),
    "rfc": ("states", "entry", {"tcp", "udp", "icmp"}, set(), False, "reply", 0),
    "nat-mapping": ("states", "mapping", {"tcp", "udp", "icmp"}, set(), False, "reply", 0),
    "zeek": ("states", "entry", ALL, set(), False, "reply", 0),
    "naive": ("syn-fin", "entry", {"tcp"}, set(), False, "reply", 0),
}

MINIMAL = """\
name = "mine"
title = "My router"
summary = "Counts UDP."
engine = "states"
[counts]
unit = "entry"
protocols = ["udp"]
[timeouts.udp_one_way]
seconds = 20
[timeouts.udp_two_way]
seconds = 40
"""


@pytest.fixture
def write(tmp_path):
    """Writes a model file and returns its path."""

    def written(text: str | bytes, name: str = "mine.toml") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return written


# ---- the shipped models


def test_names_are_the_files_there_are_headline_first():
    assert sorted(names()) == sorted(path.stem for path in FOLDER.glob("*.toml"))
    assert names()[:3] == ["linux-connlimit", "linux-conntrack", "pf-normal"]
    assert names()[-1] == "naive"


def test_default_models_are_all_shipped_ones_and_one_flat():
    assert [name for name in DEFAULT_MODELS if not name.startswith("flat:")] == names()
    assert "flat:120" in DEFAULT_MODELS
    assert [load(name).name for name in DEFAULT_MODELS] == list(DEFAULT_MODELS)


@pytest.mark.parametrize("name", SECONDS)
def test_timeouts_are_those_of_the_source(name):
    model = load(name)
    wanted = {**dict.fromkeys(OF_THEIR_OWN, SECONDS[name]["other"]), **SECONDS[name]}
    held = {phase: model.timeout_s(phase) for phase in PHASES if phase in wanted}
    assert held == wanted
    assert set(PHASES) - set(held) <= set(gateways.LINUX_PHASES)


@pytest.mark.parametrize("name", names())
def test_rules_are_those_of_the_source(name):
    model = load(name)
    found = (
        model.engine.value,
        model.unit.value,
        set(model.protocols),
        set(model.left_out),
        model.reset_deletes_unanswered,
        model.two_way_after.value,
        model.stream_age_s,
    )
    assert found == RULES[name]
    assert model.begins is Begins.OPEN


def test_who_translates_ipv4_alone_holds_no_ipv6():
    alone = {name for name in names() if load(name).families == {"ipv4"}}
    assert alone == {"cisco-ios-nat", "aws-nat-gateway", "rfc", "nat-mapping"}
    assert all(load(name).families == {"ipv4", "ipv6"} for name in {*DEFAULT_MODELS} - alone)


def test_a_flow_ends_when_every_shipped_model_has_forgotten_it():
    def longest_s(*phases: str) -> float:
        held = [load(name).timeout_s(phase) for name in DEFAULT_MODELS for phase in phases]
        return max(seconds for seconds in held if seconds < math.inf)

    assert longest_s("udp_first", "udp_one_way", "udp_two_way", "icmp") * 1e9 == record.UDP_OVER_NS
    assert longest_s("established", "fin_wait", "syn_sent", "time_wait") * 1e9 == record.TCP_OVER_NS
    assert longest_s("other", *OF_THEIR_OWN) * 1e9 == record.OTHER_OVER_NS


@pytest.mark.parametrize("name", names())
def test_every_number_and_rule_has_a_source(name):
    model = load(name)
    assert model.name == name == model.path.stem
    assert model.summary.endswith(".")
    assert len(model.counts_basis.source) > 20
    assert model.engine is Engine.SYN_FIN or len(model.rules_basis.source) > 20
    for phase, timeout in model.timeouts.items():
        assert len(timeout.source) > 20, phase


def test_an_assumption_is_not_called_documented():
    for model in gateways.shipped():
        for phase, timeout in model.timeouts.items():
            says_so = re.search(
                r"assum|taken|not documented|no default found|read as|our reading|no shorter", timeout.source, re.I
            )
            assert not says_so or timeout.sure is Sure.ASSUMED, (model.name, phase)


def test_naive_never_expires_tcp_and_sees_nothing_else():
    model = load("naive")
    assert not model.timeouts
    assert model.timeout_s("established") == math.inf
    assert model.timeout_s("udp_first") == 0


def test_the_counting_unit_alone_separates_rfc_from_nat_mapping():
    one, other = load("rfc"), load("nat-mapping")
    assert (one.unit, other.unit) == (Unit.ENTRY, Unit.MAPPING)
    assert one.timeouts == other.timeouts


def test_a_misspelt_phase_is_refused_not_zero():
    with pytest.raises(ValueError, match="timewait"):
        load("zeek").timeout_s("timewait")


def test_models_travel_to_other_processes_and_serve_as_keys():
    model = load("linux-connlimit")
    assert pickle.loads(pickle.dumps(model)) == model
    assert {model: 1}[load("linux-connlimit")] == 1


# ---- flat:SECONDS


@pytest.mark.parametrize(
    ("text", "seconds", "name"),
    [("flat:120", 120, "flat:120"), ("flat:0.5", 0.5, "flat:0.5"), ("flat:3e2", 300, "flat:300")],
)
def test_flat_by_name(text, seconds, name):
    model = load(text)
    assert (model.name, model.engine, model.unit, set(model.protocols)) == (name, Engine.FLAT, Unit.ENTRY, ALL)
    assert {model.timeout_s(phase) for phase in PHASES if phase not in gateways.LINUX_PHASES} == {seconds}
    assert model.path is None


@pytest.mark.parametrize("text", ["flat:", "flat:0", "flat:-5", "flat:nan", "flat:inf", "flat:two", "flat:1e10"])
def test_flat_refuses_what_is_no_time(text):
    with pytest.raises(SettingsError, match="after flat: comes a number of seconds"):
        load(text)


# ---- a user's own file


def test_a_short_file_is_enough_and_optional_phases_are_filled_in(write):
    model = load(write(MINIMAL))
    assert (model.name, model.two_way_after, model.begins, model.left_out) == ("mine", TwoWay.REPLY, Begins.OPEN, set())
    assert [model.timeout_s(phase) for phase in ("udp_first", "udp_one_way", "udp_two_way")] == [20, 20, 40]
    assert model.timeout_s("established") == 0
    assert model.timeouts["udp_first"].sure is Sure.ASSUMED


def test_zero_and_never_are_timeouts(write):
    model = load(write(MINIMAL.replace("seconds = 20", "seconds = 0").replace("seconds = 40", "seconds = inf")))
    assert (model.timeout_s("udp_one_way"), model.timeout_s("udp_two_way")) == (0, math.inf)


def test_any_existing_file_will_do_whatever_its_ending(write):
    assert load(write(MINIMAL, "router.conf")).name == "mine"


def test_the_example_in_the_documentation_loads(write):
    [example] = re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    model = load(write(example))
    assert (model.begins, set(model.protocols)) == (Begins.ESTABLISHED, {"tcp"})
    for phase in ("syn_sent", "syn_repeated", "established", "close_wait", "last_ack", "close"):
        assert model.timeout_s(phase) == load("pf-normal").timeout_s(phase)


def test_a_flat_file(write):
    text = MINIMAL.split("[timeouts")[0].replace('"states"', '"flat"') + "[timeouts.idle]\nseconds = 15\n"
    assert load(write(text)).timeout_s("udp_two_way") == 15


TCP_ONLY = ('["udp"]', '["tcp"]')
WRONG = {
    "unknown key": (
        ("title =", "tittle ="),
        r"tittle is not a known key \(did you mean title\?\); known here: name, title",
    ),
    "unknown phase": (
        ("udp_one_way]", "udp_oneway]"),
        r"timeouts\.udp_oneway is not a known key \(did you mean udp_one_way",
    ),
    "unknown key of a timeout": (
        ("seconds = 20", "second = 20"),
        r"timeouts\.udp_one_way\.second is not.*mean seconds",
    ),
    "unknown engine": (('"states"', '"state"'), r"engine is 'state', but must be one of linux, states, .*mean states"),
    "no engine": (('engine = "states"\n', ""), r"engine is missing"),
    "no unit": (('unit = "entry"\n', ""), r"counts\.unit is missing"),
    "no timeout": (("[timeouts.udp_two_way]\nseconds = 40\n", ""), r"timeouts\.udp_two_way is missing"),
    "no seconds": (("seconds = 40", ""), r"timeouts\.udp_two_way\.seconds is missing"),
    "missing for tcp": (TCP_ONLY, r"timeouts\.syn_sent is missing"),
    "negative": (
        ("seconds = 20", "seconds = -1"),
        r"udp_one_way\.seconds is -1, but must be a number of seconds from 0",
    ),
    "nan": (("seconds = 20", "seconds = nan"), r"udp_one_way\.seconds is nan, but must be"),
    "minus infinity": (("seconds = 20", "seconds = -inf"), r"udp_one_way\.seconds is -inf, but must be"),
    "too long": (("seconds = 20", "seconds = 1e10"), r"seconds is 10000000000\.0, but must be .* or inf"),
    "astronomical": (("seconds = 20", "seconds = 0x" + "f" * 9000), r"seconds is a huge number, but must be"),
    "too many digits": (("seconds = 20", "seconds = " + "9" * 9000), r"not valid TOML"),
    "text for a number": (("seconds = 20", 'seconds = "20"'), r"udp_one_way\.seconds is '20', but must be a number"),
    "true for a number": (("seconds = 20", "seconds = true"), r"udp_one_way\.seconds is True, but must be a number"),
    "a number for a table": (
        ("[timeouts.udp_one_way]\nseconds", "[timeouts]\nudp_one_way"),
        r"timeouts\.udp_one_way is 20, but must be a table",
    ),
    "a list for a table": (
        ("[timeouts.udp_one_way]\nseconds = 20", "[[timeouts.udp_one_way]]"),
        r"udp_one_way is \[.*a table",
    ),
    "unknown protocol": (
        ('["udp"]', '["udp", "sctp"]'),
        r"item of counts\.protocols is 'sctp', but must be one of tcp",
    ),
    "no family": (
        ('["udp"]', '["udp"]\nfamilies = []'),
        r"counts\.families is \[\], but must be a list of at least one",
    ),
    "unknown family": (
        ('["udp"]', '["udp"]\nfamilies = ["ip6"]'),
        r"item of counts\.families is 'ip6', but must be one of ipv4, ipv6 \(did you mean ipv6",
    ),
    "no protocol": (('["udp"]', "[]"), r"counts\.protocols is \[\], but must be a list of at least one"),
    "protocol as text": (('["udp"]', '"udp"'), r"counts\.protocols is 'udp', but must be a list"),
    "nested list": (('["udp"]', '[["udp"]]'), r"item of counts\.protocols is \['udp'\], but must be"),
    "unknown state": (
        ("[counts]", '[counts]\nleft_out = ["timewait"]'),
        r"left_out is 'timewait'.*did you mean time_wait",
    ),
    "stream without age": (
        ("[timeouts.udp_one", '[rules]\ntwo_way_after = "stream"\n[timeouts.udp_one'),
        r"stream_age_s is missing",
    ),
    "age without stream": (
        ("[timeouts.udp_one", "[rules]\nstream_age_s = 2\n[timeouts.udp_one"),
        r"only means something with",
    ),
    "endless age": (
        ("[timeouts.udp_one", '[rules]\ntwo_way_after = "stream"\nstream_age_s = inf\n[timeouts.udp_one'),
        r"rules\.stream_age_s is inf, but must be a number of seconds from 0 to 1000000000\.$",
    ),
    "a word for a flag": (
        ("[timeouts.udp_one", '[rules]\nreset_deletes_unanswered = "no"\n[timeouts.udp_one'),
        r"reset_deletes_unanswered is 'no', but must be true or false",
    ),
    "udp from established": (('["udp"]', '["udp"]\nbegins = "established"'), r'established", which only TCP can be'),
    "linux timer elsewhere": (("udp_one_way]", "tcp_retransmitted]"), r"tcp_retransmitted is not a known key"),
    "idle elsewhere": (("udp_one_way]", "idle]"), r"timeouts\.idle is not a known key"),
    "syn-fin of udp": (('"states"', '"syn-fin"'), r"udp_one_way is not a known key; known here: none"),
    "shipped name": (('"mine"', '"pf-normal"'), r"'pf-normal', which is a shipped model; call yours something else"),
    "odd name": (('"mine"', '"My Router"'), r"name is 'My Router', but must be lower-case letters"),
    "name posing as flat": (('"mine"', '"flat:120"'), r"name is 'flat:120', but must be"),
    "escape in the title": (("My router", "My \\u001b[31mrouter"), r"title is 'My .*', but must be one line of text"),
    "two lines": (("My router", "My\\nrouter"), r"title is .*, but must be one line of text"),
    "empty title": (("My router", " "), r"title is ' ', but must be one line of text"),
    "not TOML": (("[counts]", "[counts"), r"is not valid TOML: "),
    "too deep": (('title = "My router"', "title = " + "[" * 5000), r"nested too deeply|not valid TOML"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_told_what_and_where(case, write):
    (old, new), message = WRONG[case]
    assert old in MINIMAL
    path = write(MINIMAL.replace(old, new))
    with pytest.raises(SettingsError, match=message) as caught:
        load(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert said.endswith(".")
    assert "\n" not in said
    assert "\x1b" not in said
    assert len(said) < 500 + len(str(path))


@pytest.mark.parametrize(("engine", "timeouts"), [("flat", "[timeouts.idle]\nseconds = 15\n"), ("syn-fin", "")])
@pytest.mark.parametrize("count", ['begins = "established"', 'left_out = ["close"]'])
def test_engines_without_states_refuse_to_count_by_state(engine, timeouts, count, write):
    text = MINIMAL.split("[timeouts")[0].replace('"states"', f'"{engine}"').replace(*TCP_ONLY) + count + "\n" + timeouts
    with pytest.raises(SettingsError, match=f"the {engine} engine knows no TCP states"):
        load(write(text))


@pytest.mark.parametrize(
    ("states", "message"),
    [
        (["time_wait"], "names time_wait without close"),
        (["close"], "names close without time_wait"),
        (["established"], "names established, whose time a captured flow does not tell"),
        (["time_wait", "close", "last_ack"], "names last_ack"),
        (["syn_sent"], 'names syn_sent.*begins = "established"'),
        (["syn_sent", "syn_sent2", "syn_recv"], "names syn_sent,"),
        (list(gateways.TCP_STATES), "names syn_sent,"),
    ],
)
def test_states_that_cannot_be_left_out_exactly_are_refused(states, message, write):
    text = MINIMAL.replace("[counts]", f"[counts]\nleft_out = {states}")
    with pytest.raises(SettingsError, match=message) as caught:
        load(write(text))
    assert 'must be [] or ["time_wait", "close"]' in str(caught.value)


@pytest.mark.parametrize("states", [["time_wait", "close"], ["close", "time_wait"]])
def test_closed_connections_can_be_left_out(states, write):
    assert load(write(MINIMAL.replace("[counts]", f"[counts]\nleft_out = {states}"))).left_out == set(states)


def test_every_shipped_model_has_all_its_parts():
    files, missing = {path.stem for path in FOLDER.glob("*.toml")}, []
    missing += [f"{name}.toml is not in SHIPPED: analysis/gateways/catalogue.py" for name in files - set(names())]
    missing += [f"{name} has no file: analysis/gateways/{name}.toml" for name in set(names()) - files]
    models = [load(name) for name in names() if name in files]
    for model in models:
        others = [other for other in models if other is not model]
        if model.name not in RULES:
            missing.append(f"{model.name} has no expected rules, from its source: RULES in this file")
        if model.timeouts and model.name not in SECONDS:
            missing.append(f"{model.name} has no expected timeouts, from its source: SECONDS in this file")
        for part in ("title", "summary"):
            if getattr(model, part) in {getattr(other, part) for other in others}:
                missing.append(f"{model.name} has another model's {part}: analysis/gateways/{model.name}.toml")
    assert not missing, "\n".join(missing)


def test_a_flat_file_of_no_time_is_refused(write):
    text = MINIMAL.split("[timeouts")[0].replace('"states"', '"flat"') + "[timeouts.idle]\nseconds = 0\n"
    with pytest.raises(SettingsError, match="nothing would ever count"):
        load(write(text))


def test_syn_fin_counts_only_tcp(write):
    text = MINIMAL.split("[timeouts")[0].replace('"states"', '"syn-fin"')
    with pytest.raises(SettingsError, match="sees only TCP"):
        load(write(text))


def test_the_linux_engine_needs_its_own_timers_too(write):
    text = load("linux-conntrack").path.read_text(encoding="utf-8").replace('"linux-conntrack"', '"mine"')
    without = re.sub(r"\[timeouts\.tcp_retransmitted\].*?\n\n", "", text, flags=re.DOTALL)
    with pytest.raises(SettingsError, match=r"timeouts\.tcp_retransmitted is missing"):
        load(write(without))


def test_files_that_are_no_text_or_too_large(write, tmp_path):
    with pytest.raises(SettingsError, match=r"is not UTF-8 text \(byte 2\)"):
        load(write(b"# \xff\xfe"))
    with pytest.raises(SettingsError, match="is larger than 1048576 bytes"):
        load(write(b"#" * (LARGEST_FILE + 1)))
    assert load(write(MINIMAL + "#" * (LARGEST_FILE - len(MINIMAL)))).name == "mine"
    with pytest.raises(SettingsError, match="there is no such gateway model file"):
        load(tmp_path / "absent.toml")
    with pytest.raises(SettingsError, match="is not a gateway model"):
        load(tmp_path)


def test_a_device_is_not_read():
    with pytest.raises(SettingsError, match="is not a gateway model"):
        load("/dev/zero")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_file_that_may_not_be_read(write):
    path = write(MINIMAL)
    path.chmod(0)
    with pytest.raises(SettingsError, match="cannot be read"):
        load(path)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("pf-norml", "did you mean pf-normal?"),
        ("Zeek", "did you mean zeek?"),
        ("quux", "one of linux-connlimit, "),
        ("", "one of"),
        ("x" * 5000, "one of"),
        ("a\0b", "one of"),
    ],
)
def test_an_unknown_name_gets_a_hint(text, hint):
    with pytest.raises(SettingsError, match=re.escape(hint)):
        load(text)


# ---- the page, and the cost of all this


def test_the_documentation_page_is_up_to_date():
    """If this fails: python -m peerburst.analysis.gateways.page docs/gateways.md"""
    assert page.render(DOCS.read_text(encoding="utf-8")) == DOCS.read_text(encoding="utf-8")


def test_the_page_shows_numbers_with_their_standing():
    text = page.tcp([load("pf-normal"), load("cisco-asa"), load("naive")])
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert rows[0] == [
        "model",
        "syn_sent",
        "syn_repeated",
        "syn_recv",
        "established",
        "fin_wait",
        "close_wait",
        "last_ack",
        "time_wait",
        "close",
    ]
    assert rows[2:] == [
        ["`pf-normal`", "120", "30", "30", "86,400", "900", "900", "45", "90", "90"],
        ["`cisco-asa`", "30", "30", "30", "3,600", "3,600", "600", "600?", "60", "0?"],
    ]


def test_the_page_command_rewrites_and_checks(tmp_path):
    copy = tmp_path / "gateways.md"
    current = DOCS.read_text(encoding="utf-8")
    copy.write_text(current.replace("| `pf-normal` | 120 |", "| `pf-normal` | 60 |"), encoding="utf-8")
    assert page.main(["--check", str(copy)]) == 3
    assert page.main([str(copy)]) == 0
    assert copy.read_text(encoding="utf-8") == current
    assert page.main(["--check", str(copy)]) == 0


def test_a_page_without_a_place_for_a_table_is_refused():
    with pytest.raises(ValueError, match="0 places for the table 'counting'"):
        page.render("# Gateway models\n")


def test_reading_models_needs_no_heavy_library():
    code = (
        "import sys; from peerburst.analysis import gateways; gateways.shipped(); "
        "print(sorted({'numpy', 'numba', 'pandas', 'matplotlib', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
