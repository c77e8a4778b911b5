"""The live screen: a session's count against the limit, as it goes, in a terminal.

`terminals` knows what a terminal can show, `text` fits words into their place, `plot` draws gauge and timeline,
`panels` and `host_table` the rest, `questions` the boxes that ask, `appearance` colours and layout; `window` puts them
together. Nothing else imports Textual.
"""

import os
import signal
from typing import TYPE_CHECKING

from peerburst.screen.terminals import can_show, terminal_of

if TYPE_CHECKING:
    from peerburst.screen.window import Session

__all__ = ["can_show", "run_screen"]


def run_screen(session: "Session") -> None:
    """Run `session` behind a screen until the person leaves; raises what the session raised.

    To be called in the main thread, on a terminal that `can_show` a screen.
    """
    terminal = terminal_of(os.environ)
    if not terminal.colour:
        os.environ["NO_COLOR"] = "1"  # Textual looks there, and nowhere else
    from peerburst.screen.window import ENDING_SIGNALS, Window

    window = Window(session, terminal)
    handlers = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    try:
        window.run(mouse=False)  # so that text can be marked and copied as usual
    finally:
        window.close_session()
        for number, handler in handlers.items():  # the screen removes its own and leaves none
            signal.signal(number, handler)
    if window.failure is not None:
        raise window.failure
