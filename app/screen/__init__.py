"""The live screen: a session's count against the limit, as it goes, in a terminal.

`terminals` knows what a terminal can show, `plot` draws gauge and timeline, `panels` words and tables, `questions` the
boxes that ask; `window` puts them together. Textual is imported here alone.
"""

import os
import signal
from typing import TYPE_CHECKING

from peerburst.screen.terminals import can_show, terminal_of

if TYPE_CHECKING:
    from peerburst.screen.window import Session

__all__ = ["can_show", "run_screen"]


def run_screen(session: "Session") -> None:
    """Run `session` behind a screen until the person leaves; its failure, if any, is raised here.

    Call it from the main thread of a terminal that `can_show` it.
    """
    terminal = terminal_of(os.environ)
    if not terminal.colour:
        os.environ["NO_COLOR"] = "1"  # Textual looks there, and knows no terminal that has none
    from peerburst.screen.window import ENDING_SIGNALS, Window

    window = Window(session, terminal)
    handlers = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    try:
        window.run(mouse=False)  # so that text can still be marked and copied
    finally:
        window.close_session()
        for number, handler in handlers.items():  # the screen had its own, and left none
            signal.signal(number, handler)
    if window.failure is not None:
        raise window.failure
