"""Sends letters to many mail servers, each straight to its own, as a machine does that somebody else commands.

python -m tests.lab.arena.players.spam LETTERS WORKERS SERVER...
"""

import contextlib
import smtplib
import sys
from concurrent.futures import ThreadPoolExecutor
from random import Random

PATIENCE_S = 4
LETTER = "Subject: you have won\r\nFrom: offers@example.com\r\n\r\n" + "Answer today to claim your prize.\r\n" * 30


def send(server: str) -> None:
    """One letter; servers that are gone are left alone."""
    with (
        contextlib.suppress(OSError, smtplib.SMTPException),
        smtplib.SMTP(server, 25, "guest.example", PATIENCE_S) as mail,
    ):
        mail.sendmail("offers@example.com", ["someone@example.net"], LETTER)


if __name__ == "__main__":
    letters, workers, servers = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(send, Random(7).choices(servers, k=letters)))
