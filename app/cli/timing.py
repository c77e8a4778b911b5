"""`--timing`: how long each stage of a run took."""

import sys
import time

from peerburst.capture.compiled import stopwatch


def start(asked: bool) -> bool:
    """Keep time from now on, if `--timing` asks for it."""
    if asked:
        stopwatch.start()
    return asked


def report() -> None:
    """Print the times on standard error, if any were kept, and keep time no longer."""
    watch = stopwatch.running()
    if watch is None:
        return
    whole = time.perf_counter() - watch.began
    print(f"{'stage':10} {'seconds':>8} {'packets/s':>14}", file=sys.stderr)
    for name, seconds in (*watch.seconds.items(), ("whole run", whole)):
        rate = f"{watch.packets / seconds:14,.0f}" if seconds else f"{'':14}"
        print(f"{name:10} {seconds:8.3f} {rate}", file=sys.stderr)
    print("Reading, records, decoding and flows share threads that run side by side, and models do.", file=sys.stderr)
    stopwatch.stop()
