"""The side file of a kept capture: a JSON object that says how the session went."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path

NOTE_EVERY_S = 2.0
NOTE_SUFFIX = ".session.json"
NOTE_SCHEMA = "peerburst/session/1"


class SessionNote:
    """The side file of one session: after a kill it still says `running`, and when it was last written."""

    def __init__(self, saved_to: str) -> None:
        self._path = Path(saved_to + NOTE_SUFFIX)
        self._due_s = -math.inf
        self.warnings: tuple[str, ...] = ()
        self._started = _utc_now()

    def is_due(self, now_s: float) -> bool:
        """Whether to write now; then the next time is NOTE_EVERY_S later."""
        if now_s < self._due_s:
            return False
        self._due_s = now_s + NOTE_EVERY_S
        return True

    def write(self, facts: dict[str, object]) -> None:
        """Replace the file by these facts, as a whole; where that fails there is a warning."""
        text = json.dumps(
            {"schema": NOTE_SCHEMA, "started": self._started, "last_alive": _utc_now(), **facts}, indent=1
        )
        unfinished = self._path.with_name(self._path.name + ".unfinished")
        try:
            unfinished.write_text(text + "\n", encoding="utf-8")
            unfinished.replace(self._path)
        except OSError as error:
            self.warnings = (f"{self._path}: cannot be written: {error.strerror or error}",)


def _utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
