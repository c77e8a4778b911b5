"""The command line: what it prints where, and with which exit code."""

import csv
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import peerburst
from peerburst.analysis.gateways import DEFAULT_MODELS, names
from peerburst.cli.main import main
from tests.support.making import HOST, Tape, local, remote
from tests.support.paths import PCAPS

RUN = [sys.executable, "-m", "peerburst"]


def login() -> Tape:
    tape = Tape()
    tape.connection(0, local(4000), remote(90), received=5000)
    for i in range(30):
        tape.exchange(100 + i * 0.2, local(5000), remote(i, 40_000 + i))
    return tape


@pytest.fixture
def capture(tmp_path: Path) -> str:
    return login().write(tmp_path / "login.pcap")


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> "Runner":
    return Runner(capfd)


class Runner:
    """Runs a command line in this process: (exit code, standard output, standard error)."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        self._capfd.readouterr()
        code = main(list(arguments))
        printed = self._capfd.readouterr()
        said = [line for line in printed.err.splitlines(keepends=True) if "compiling packet kernels" not in line]
        return code, printed.out, "".join(said)


# --- answers ---------------------------------------------------------------------------------------------------------


def test_a_capture_alone_is_analysed(run: Runner, capture: str) -> None:
    short, long = run(capture), run("analyze", capture)
    assert short == long
    code, out, err = short
    assert (code, err) == (0, "")
    assert out.startswith("71 packets in 1 min 46 s from 1 capture, 31 flows.")
    assert f"{HOST} held 30 connections at once, +1:45 after the first packet, as linux-connlimit counts them" in out
    assert "A limit of 200 would not have been crossed: 170 were left at the peak." in out
    assert "30 connections in 5.8 s (discovery" in out
    for model in DEFAULT_MODELS:
        assert model in out
    assert "\x1b" not in out


def test_options_may_stand_anywhere(run: Runner, capture: str) -> None:
    one = run("--limit", "20", capture, "--model", "naive", "--model", "flat:60")
    assert one == run("analyze", "--model", "naive", "-r", capture, "--model=flat:60", "--limit=20")
    assert one[0] == 0
    assert "> 20" in one[1]
    assert "linux-connlimit" not in one[1]


def test_a_limit_that_is_crossed(run: Runner, capture: str) -> None:
    _code, out, _err = run(capture, "--limit", "10")
    assert "A limit of 10 would have been crossed at +1:42, and the host stayed above it for 3.9 s." in out
    assert "> 10 " in out


def test_json_is_one_object_of_numbers(run: Runner, capture: str) -> None:
    code, out, err = run(capture, "--format", "json")
    assert (code, err) == (0, "")

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    made = json.loads(out, parse_constant=refuse)
    assert set(made) == {"schema", "version", "capture", "vantage", "hosts", "bursts"}
    assert (made["schema"], made["version"]) == ("peerburst/analysis/1", peerburst.__version__)
    assert made["capture"]["files"] == [capture]
    assert made["capture"]["packets"] == 71
    assert made["hosts"][0]["models"]["linux-connlimit"]["peak"] == 30
    assert made["bursts"][0]["class"] == "discovery"


def test_timeline_as_csv(run: Runner, capture: str) -> None:
    code, out, _err = run("timeline", capture, "--step", "10", "--model", "flat:30")
    rows = list(csv.reader(io.StringIO(out)))
    assert code == 0
    assert rows[0] == ["t_s", "at", "max", "mean", "talking"]
    assert [row[0] for row in rows[1:]] == [f"{10 * i}.0" for i in range(11)]
    assert [row[2] for row in rows[1:]] == ["1", "1", "1", "1", "0", "0", "0", "0", "0", "0", "30"]


def test_flows_in_every_format(run: Runner, capture: str, tmp_path: Path) -> None:
    code, out, _err = run("flows", capture)
    assert code == 0
    assert len(list(csv.DictReader(io.StringIO(out)))) == 31
    assert len([json.loads(line) for line in run("flows", capture, "--format", "jsonl")[1].splitlines()]) == 31
    zeek = run("flows", capture, "--format", "zeek")[1].splitlines()
    assert zeek[5].startswith("#fields\tts\tuid\tid.orig_h")
    assert len([line for line in zeek if not line.startswith("#")]) == 31
    path = tmp_path / "flows.parquet"
    assert run("flows", capture, "--format", "parquet", "-o", str(path)) == (0, "", "")
    assert len(pd.read_parquet(path)) == 31


def test_gateways(run: Runner, tmp_path: Path) -> None:
    code, out, err = run("gateways", "list")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[1:] if line[:1].strip()][: len(names())] == names()
    code, out, _err = run("gateways", "show", "linux-connlimit")
    assert code == 0
    assert "except TCP in close, time_wait" in out
    assert "432000" in out
    assert run("gateways", "show", "flat:77")[1].startswith("flat:77: Idle for 77 s")


def test_synth_writes_a_capture_that_can_be_analysed(run: Runner, tmp_path: Path) -> None:
    scenario = PCAPS / "chat-sync-small.toml"
    path = tmp_path / "made.pcap"
    code, out, err = run("synth", str(scenario), "-o", str(path))
    assert (code, out) == (0, "")
    assert "made.pcap" in err
    assert "p2p-sync" in run(str(path))[1]


def test_version_and_help(run: Runner) -> None:
    assert run("--version")[:2] == (0, f"peerburst {peerburst.__version__}\n")
    for arguments in (["--help"], ["-h"], ["analyze", "--help"], ["gateways", "--help"]):
        code, out, err = run(*arguments)
        assert (code, err) == (0, "")
        assert "Usage: peerburst" in out


def test_nothing_named_shows_the_help_and_is_a_mistake(run: Runner) -> None:
    code, out, err = run()
    assert code == 2
    assert "Usage: peerburst" in out + err


# --- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["missing.pcap"], 1, "missing.pcap: no such file"),
        (["analyze"], 2, "name a capture"),
        (["CAPTURE", "--nonsense"], 2, "No such option"),
        (["CAPTURE", "--format", "xml"], 2, "xml"),
        (["CAPTURE", "--limit", "many"], 2, "--limit"),
        (["CAPTURE", "--limit", "0"], 2, "at least 1"),
        (["CAPTURE", "-c", "0"], 2, "at least 1"),
        (["CAPTURE", "--host", "10.9.9.9"], 2, f"no local host 10.9.9.9 in this capture; the busiest are: {HOST}"),
        (["CAPTURE", "--model", "linux-contrack"], 2, "did you mean linux-conntrack?"),
        (["CAPTURE", "--model", "flat:"], 2, "flat:120"),
        (["CAPTURE", "--model", "naive", "--model", "naive"], 2, "twice"),
        (["CAPTURE", "--local-net", "example.org"], 2, "is not a network"),
        (["gateways", "show", "nothing-like-it"], 2, "is not a gateway model"),
        (["timeline", "CAPTURE", "--step", "0"], 2, "too short"),
        (["timeline", "CAPTURE", "--host", "10.9.9.9"], 2, "no local host"),
        (["synth", "missing.toml", "-o", "a.pcap"], 2, "missing.toml"),
        (["-", "-"], 2, "only once"),
    ],
)
def test_a_mistake_is_one_sentence_and_a_code(
    run: Runner, capture: str, arguments: list[str], code: int, says: str
) -> None:
    found, out, err = run(*(capture if argument == "CAPTURE" else argument for argument in arguments))
    assert (found, out) == (code, "")
    assert says in err
    assert "Traceback" not in err


@pytest.mark.parametrize("content", [b"", b"no capture at all, just text\n", bytes(100)])
def test_what_is_no_capture_is_said_so(run: Runner, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "some.pcap"
    path.write_bytes(content)
    code, out, err = run(str(path))
    assert (code, out) == (1, "")
    assert err.startswith(f"peerburst: {path}: is ")
    assert err.count("\n") == 1


def test_a_folder_is_said_to_be_one(run: Runner, tmp_path: Path) -> None:
    code, out, err = run(str(tmp_path))
    assert (code, out) == (1, "")
    assert "is a folder" in err


def test_a_cut_file_is_analysed_with_a_warning(run: Runner, capture: str) -> None:
    path = Path(capture)
    path.write_bytes(path.read_bytes()[:-7])
    code, out, err = run(capture)
    assert code == 0
    assert out.startswith("70 packets")
    assert err.startswith(f"peerburst: warning: {capture}: is cut short")
    assert run(capture, "--quiet")[2] == ""
    assert json.loads(run(capture, "--format", "json", "-q")[1])["capture"]["warnings"]


def test_names_with_control_characters_are_harmless(run: Runner, tmp_path: Path) -> None:
    name = "evil\x1b[31m\r\nname\u202e.pcap"
    code, out, err = run(str(tmp_path / name))
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert not set(err) & set("\x1b\r\u202e")
    cut = tmp_path / name
    cut.write_bytes(Path(login().write(tmp_path / "a.pcap")).read_bytes()[:-3])
    code, out, err = run(str(cut))
    assert code == 0
    assert not set(out + err) & set("\x1b\r\u202e")
    assert json.loads(run(str(cut), "--format", "json")[1])["capture"]["files"] == [str(cut)]


def test_a_capture_without_local_hosts_has_nothing_to_draw(run: Runner, tmp_path: Path) -> None:
    path = Tape().write(tmp_path / "none.pcap")
    code, out, _err = run(path)
    assert code == 0
    assert "No local host" in out
    assert run("timeline", path)[0] == 2
    assert run("report", path, "-o", str(tmp_path / "report"))[0] == 2
    assert json.loads(run(path, "--format", "json")[1])["hosts"] == []


# --- as a program ----------------------------------------------------------------------------------------------------


def program(*arguments: str, **settings: object) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([*RUN, *arguments], capture_output=True, timeout=120, check=False, **settings)  # type: ignore[call-overload,no-any-return]


def test_standard_input_is_a_capture(capture: str) -> None:
    with open(capture, "rb") as file:
        piped = program("-", "--format", "json", stdin=file)
    assert piped.returncode == 0
    assert json.loads(piped.stdout)["capture"]["packets"] == 71


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    text = (
        "import sys; from peerburst.cli.main import main; code = main(['--help']);"
        "print([name for name in ('pandas', 'numba', 'numpy', 'matplotlib') if name in sys.modules], code)"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=True)
    assert time.monotonic() - began < 1.0
    assert done.stdout.splitlines()[-1] == "[] 0"


def test_a_reader_that_leaves_early_is_no_error(capture: str) -> None:
    for arguments in ((capture,), ("flows", capture), (capture, "--format", "json"), ("gateways", "list")):
        reading, writing = os.pipe()
        os.close(reading)  # nobody reads at all
        done = subprocess.run([*RUN, *arguments], stdout=writing, stderr=subprocess.PIPE, timeout=120, check=False)
        os.close(writing)
        assert (done.returncode, done.stderr) == (0, b""), arguments


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_an_answer_for_which_there_is_no_room_is_a_sentence(capture: str) -> None:
    for arguments in ((capture,), ("flows", capture), (capture, "--format", "json"), ("gateways", "list")):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([*RUN, *arguments], stdout=full, stderr=subprocess.PIPE, timeout=120, check=False)
        said = b"peerburst: the answer cannot be written: No space left on device\n"
        assert (done.returncode, done.stderr) == (1, said), arguments


def test_without_an_output_the_answer_is_for_nobody(capture: str) -> None:
    for arguments in (f"{capture}", f"{capture} --format json"):
        done = subprocess.run(
            ["sh", "-c", f"{sys.executable} -m peerburst {arguments} >&-"], stderr=subprocess.PIPE, timeout=120
        )
        assert (done.returncode, done.stderr) == (0, b""), arguments


def test_progress_is_for_terminals_and_data_for_standard_output(capture: str) -> None:
    done = program(capture, "--progress", "on")
    assert done.returncode == 0
    assert b"packets/s" not in done.stdout
    assert program(capture).stderr == b""


def test_the_script_is_installed() -> None:
    script = Path(sys.executable).with_name("peerburst")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"peerburst {peerburst.__version__}\n"
