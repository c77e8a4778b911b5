"""A live session in a process of its own, and all that it counted, as JSON.

    python session_beside.py INTERFACE CAPTURE.pcapng RESULT.json

Prints a line once it listens; ends with SIGINT. The result has the count under every model at every second, the views
as they came, and the history that a screen would have drawn.
"""

import json
import signal
import sys
from pathlib import Path

from peerburst.analysis.gateways import DEFAULT_MODELS
from peerburst.capture.live.options import CaptureOptions
from peerburst.capture.live.savefile import SavefileWriter
from peerburst.capture.live.source import capture_interfaces
from peerburst.capture.sockets.observations import side_file
from peerburst.capture.sockets.poller import SocketPoller
from peerburst.live.options import LiveOptions
from peerburst.live.session import LiveSession
from peerburst.live.view import LiveView


def main(interface: str, kept: str, result: Path) -> None:
    views: list[tuple[float, int]] = []

    def note(view: LiveView) -> None:
        views.append((view.now_s, view.count))

    listening = CaptureOptions((interface,))
    with capture_interfaces(listening, savefile=SavefileWriter(kept)) as source:
        sockets = SocketPoller(side_file(kept))
        sockets.start()
        session = LiveSession(source, LiveOptions(capture=listening, write=kept), sockets=sockets)
        signal.signal(signal.SIGINT, lambda *_: session.interrupt())
        print("listening", flush=True)
        session.run(note)
        analysis = session.analysis()
        host = analysis.busiest()
        history = session.latest.history if session.latest is not None else None
        assert history is not None
        told = {
            "host": host,
            "model": session.model,
            "packets": analysis.capture.packets,
            "drops": analysis.capture.drops,
            "views": views,
            "history": [history.t_s.tolist(), history.count.tolist()],
            "every_second": {name: analysis.timeline(host, name)["at"].tolist() for name in DEFAULT_MODELS},
            "peaks": {name: analysis.timeline(host, name)["max"].tolist() for name in DEFAULT_MODELS},
        }
        session.close()
    result.write_text(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
