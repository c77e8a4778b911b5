"""Plays scenes and records them.

    python -m tests.lab.arena [--list] [--keep-logs FOLDER] [NAME...]

Names are those of scenes, or the beginnings of several; without one, all are played, some at a time.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.lab.arena.ledger import Book
from tests.lab.arena.processes import Processes
from tests.lab.arena.programs import is_here
from tests.lab.arena.record import SNAPLEN
from tests.lab.arena.scenes import SCENES
from tests.lab.arena.services import Services
from tests.lab.arena.stage import Scene, Span, Stage
from tests.lab.arena.topology import Topology

AT_ONCE = 4
FIRST_GUEST = 20
TARGET = Path("pcaps/arena")


def missing(scene: Scene) -> list[str]:
    """What a scene needs and is not here: programs, files by their path, Python modules."""
    return [need for need in scene.needs if not is_here(need)]


class Troupe:
    """Plays scenes in one topology and writes the book."""

    def __init__(self, topology: Topology, services: Services, folder: Path) -> None:
        self._topology, self._services, self._folder = topology, services, folder
        self._book = Book(TARGET, SNAPLEN)
        self._lock = threading.Lock()
        self._playing: set[Processes] = set()

    def play(self, number: int, scene: Scene) -> bool:
        """Play one scene with guest `number`; whether there is a recording."""
        folder = self._folder / scene.name
        folder.mkdir()
        began = time.monotonic()
        target = TARGET / f"{scene.name}.pcap.zst"
        with Processes(folder) as processes:
            self._playing.add(processes)
            stage = Stage(number, self._topology, self._services, processes, folder, target)
            try:
                scene.play(stage)
            except Exception as error:
                told = "".join(traceback.format_exception(error)) if os.environ.get("ARENA_TRACE") else error
                print(f"{scene.name}: failed: {told}", file=sys.stderr, flush=True)
                return False
        self._enter(scene, stage)
        print(
            f"{scene.name}: {stage.kept.packets if stage.kept else 0} packets, "
            f"{stage.kept.flows if stage.kept else 0} flows, {time.monotonic() - began:.0f} s",
            flush=True,
        )
        return True

    def stop(self) -> None:
        """End what is being played; scenes that are still waiting for something can start nothing more."""
        for processes in tuple(self._playing):
            processes.close()

    def _enter(self, scene: Scene, stage: Stage) -> None:
        kept = stage.kept
        if kept is None:
            raise RuntimeError(f"{scene.name} recorded nothing")
        spans = stage.spans or [Span(scene.cast, scene.what, kept.first_s, None)]
        end_s = kept.last_s - kept.first_s
        labels = [
            (
                kept.path.name,
                stage.address,
                span.cast.label,
                span.cast.program,
                span.cast.version(),
                span.cast.source,
                span.what,
                f"{max(span.start_s - kept.first_s, 0.0):.3f}",
                f"{min((span.until_s or kept.last_s) - kept.first_s, end_s):.3f}",
            )
            for span in spans
        ]
        casts = list(dict.fromkeys(span.cast for span in spans))
        run = (
            kept.path.name,
            " + ".join(cast.program for cast in casts),
            " + ".join(cast.version() for cast in casts),
            " + ".join(dict.fromkeys(cast.label for cast in casts)),
            scene.what,
            "; ".join(dict.fromkeys(stage.commands)),
            str(kept.packets),
            str(kept.flows),
            f"{end_s:.1f}",
            kept.sha256,
        )
        with self._lock:
            self._book.enter(kept.path.name, labels, run)


def chosen(names: Sequence[str]) -> list[Scene]:
    """The scenes meant by names and beginnings of names; all without any."""
    if not names:
        return list(SCENES)
    unknown = [name for name in names if not any(scene.name.startswith(name) for scene in SCENES)]
    if unknown:
        raise SystemExit(f"no scene is called {', '.join(unknown)}: see --list")
    return [scene for scene in SCENES if any(scene.name.startswith(name) for name in names)]


def playable(scenes: Sequence[Scene]) -> list[Scene]:
    """Those whose programs are all here; the others are named."""
    ready = []
    for scene in scenes:
        if absent := missing(scene):
            print(f"{scene.name}: left out, needs {', '.join(absent)}", file=sys.stderr, flush=True)
        else:
            ready.append(scene)
    return ready


def perform(scenes: Sequence[Scene], logs: Path | None) -> list[bool]:
    """Play scenes, some at a time, and take everything down: which were recorded."""
    with tempfile.TemporaryDirectory(prefix="arena-") as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)  # servers give up root
        try:
            with Topology(folder) as topology, Services(topology, folder) as services:
                troupe = Troupe(topology, services, folder)
                pool = ThreadPoolExecutor(AT_ONCE)
                try:
                    return list(pool.map(troupe.play, range(FIRST_GUEST, FIRST_GUEST + len(scenes)), scenes))
                finally:
                    pool.shutdown(wait=False, cancel_futures=True)
                    troupe.stop()
        finally:
            if logs:
                keep_logs(folder, logs)


def keep_logs(folder: Path, target: Path) -> None:
    """Copy what the programs wrote."""
    for log in folder.rglob("*.log"):
        kept = target / log.relative_to(folder)
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(log, kept)


def main(arguments: Sequence[str]) -> int:
    """Play what was asked for; 0 if every scene that could be played was recorded."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.arena", description=__doc__)
    parser.add_argument("--list", action="store_true", help="name the scenes")
    parser.add_argument("--keep-logs", type=Path, metavar="FOLDER", help="leave what the programs wrote there")
    parser.add_argument("names", nargs="*", metavar="NAME")
    asked = parser.parse_args(arguments)
    scenes = chosen(asked.names)
    if asked.list:
        for scene in scenes:
            print(f"{scene.name:24} {scene.cast.label:14} {scene.cast.program}: {scene.what}")
        return 0
    if os.geteuid() != 0:
        print("the arena needs root: it makes network namespaces", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    ready = playable(scenes)
    TARGET.mkdir(parents=True, exist_ok=True)
    try:
        recorded = perform(ready, asked.keep_logs)
    except (KeyboardInterrupt, SystemExit):
        print("interrupted; the namespaces and their programs are gone", file=sys.stderr, flush=True)
        os._exit(130)  # scenes that are asleep in a thread would be waited for
    return 0 if all(recorded) and len(ready) == len(scenes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
