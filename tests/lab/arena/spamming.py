"""Letters to many mail servers, straight to each, by programs that can send mail."""

import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from tests.lab.arena.addresses import SEED
from tests.lab.arena.programs import NODE_MODULES, module_version, needs_module, npm_version, packaged, version
from tests.lab.arena.servers.names import TOP_LEVELS
from tests.lab.arena.stage import Cast, Scene, Stage

PYTHON = sys.executable
PLAYERS = Path(__file__).parent / "players"
TEXT = "Answer today to claim your prize.\r\n"
SENDER, RECEIVER = "offers@example.com", "someone@example.net"

POSTFIX = Cast("spam", "postfix", "postfix", lambda: packaged("postfix"))
SMTP_SOURCE = Cast("spam", "smtp-source", "postfix", lambda: packaged("postfix"))
MSMTP = Cast("spam", "msmtp", "msmtp", lambda: packaged("msmtp"))
SENDEMAIL = Cast("spam", "sendemail", "sendemail", lambda: packaged("sendemail"))
SNAIL = Cast("spam", "s-nail", "s-nail", lambda: packaged("s-nail"))
NODEMAILER = Cast("spam", "nodemailer", "nodemailer", lambda: npm_version("nodemailer"))
NET_SMTP = Cast(
    "spam", "Net::SMTP", "net-smtp", lambda: version("perl", "-MNet::SMTP", "-e", "print $Net::SMTP::VERSION")
)
AIOSMTPLIB = Cast("spam", "aiosmtplib", "aiosmtplib", lambda: module_version("aiosmtplib"))


def letter(stage: Stage, lines: int) -> Path:
    """A file with a letter in it."""
    path = stage.folder / "letter"
    path.write_text(f"From: {SENDER}\r\nTo: {RECEIVER}\r\nSubject: you have won\r\n\r\n" + TEXT * lines)
    return path


def receivers(stage: Stage, count: int) -> list[str]:
    """People in as many domains; whose mail servers these are, the name servers know."""
    random = Random(f"{SEED} {stage.number} receivers")
    tops = list(TOP_LEVELS)
    return [f"someone{n}@site{random.randrange(400)}.{random.choice(tops)}" for n in range(count)]


POSTFIX_SETTINGS = """compatibility_level = 3.6
queue_directory = {spool}
data_directory = {data}
maillog_file = /dev/stdout
myhostname = guest.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_relay_restrictions = permit_mynetworks reject
mynetworks = 127.0.0.0/8
smtp_host_lookup = dns
smtp_connect_timeout = 5s
disable_dns_lookups = no
default_process_limit = 40
"""


def _postfix(stage: Stage, count: int) -> None:
    """A mail server is handed one letter for many people, and takes it to each of theirs."""
    stage.services.mail()
    settings, spool, data = (stage.folder / name for name in ("postfix", "spool", "data"))
    for folder in (settings, spool, data):
        folder.mkdir()
    shutil.chown(data, "postfix")
    packaged_master = Path("/usr/share/postfix/master.cf.dist")
    services = [line for line in packaged_master.read_text().splitlines() if not line.startswith("#")]
    # Without chroot: the queue is elsewhere than Debian's, and has no files of the resolver's.
    (settings / "master.cf").write_text("\n".join(without_chroot(line) for line in services) + "\n")
    (settings / "main.cf").write_text(POSTFIX_SETTINGS.format(spool=spool, data=data))
    with stage.recorded():
        stage.start("postfix", "-c", str(settings), "start-fg")
        time.sleep(4)
        hand_over = ("swaks", "--server", "127.0.0.1", "--from", SENDER, "--hide-all", "--to")
        everybody = receivers(stage, count)
        for first in range(0, count, 40):
            stage.run(*hand_over, ",".join(everybody[first : first + 40]), for_s=15)
        time.sleep(25)


def without_chroot(line: str) -> str:
    """A line of postfix's master.cf with `n` for chroot: its fifth column."""
    words = line.split()
    if line[:1].isspace() or len(words) < 8:
        return line
    words[4] = "n"
    return " ".join(words)


def _each(stage: Stage, servers: int, pause_s: float, command: Sequence[str]) -> None:
    """A command for each of so many mail servers, one after another; `{}` in it is the server."""
    addresses = stage.services.mail()[:servers]
    with stage.recorded():
        for address in addresses:
            stage.run(*(word.replace("{}", address) for word in command), for_s=10)
            time.sleep(pause_s)


def _smtp_source(stage: Stage) -> None:
    options = ("-s", "3", "-m", "3", "-l", "3000", "-M", "guest.example", "-f", SENDER, "-t", RECEIVER)
    _each(stage, 24, 0.2, ("smtp-source", *options, "{}:25"))


def _msmtp(stage: Stage) -> None:
    command = f"msmtp --host={{}} --port=25 --domain=guest.example --from={SENDER} {RECEIVER} < {letter(stage, 60)}"
    _each(stage, 30, 0.1, ("sh", "-c", command))


def _sendemail(stage: Stage) -> None:
    options = ("-f", SENDER, "-t", RECEIVER, "-u", "you have won", "-m", TEXT * 20, "-o", "tls=no", "-q")
    _each(stage, 28, 0.3, ("sendemail", *options, "-s", "{}:25"))


def _snail(stage: Stage) -> None:
    settings = ("-S", "v15-compat", "-S", "mta=smtp://{}:25", "-S", "smtp-auth=none", "-S", "hostname=guest.example")
    options = ("-r", SENDER, "-s", "you have won", "-q", str(letter(stage, 15)))
    _each(stage, 26, 0.5, ("s-nail", "-:", "/", *settings, *options, RECEIVER))


def _all_at_once(stage: Stage, *command: str, servers: int = 30, for_s: float = 40) -> None:
    addresses = stage.services.mail()[:servers]
    with stage.recorded():
        stage.run(*command, *addresses, for_s=for_s, environment={"NODE_PATH": NODE_MODULES})


NET_SMTP_RUN = """use Net::SMTP;
my ($letters, @servers) = @ARGV;
for my $n (1 .. $letters) {
  my $mail = Net::SMTP->new($servers[rand @servers], Hello => 'guest.example', Timeout => 5) or next;
  $mail->mail('offers@example.com');
  for my $to (map { "someone$_\\@example.net" } 1 .. 1 + int rand 6) { $mail->to($to) }
  $mail->data("Subject: you have won\\n\\n" . "Answer today to claim your prize.\\n" x (10 + rand 80));
  $mail->quit;
}
"""


SCENES = (
    Scene(
        "spam-postfix",
        POSTFIX,
        "a mail server takes one letter to 120 people in as many domains, looking up where to",
        ("postfix", "swaks"),
        50,
        lambda s: _postfix(s, 120),
    ),
    Scene(
        "spam-smtp-source",
        SMTP_SOURCE,
        "three letters to each of 24 mail servers, all three at once",
        ("smtp-source",),
        40,
        _smtp_source,
    ),
    Scene("spam-msmtp", MSMTP, "a letter to each of 30 mail servers, one after another", ("msmtp",), 40, _msmtp),
    Scene(
        "spam-sendemail",
        SENDEMAIL,
        "a letter to each of 28 mail servers, one after another",
        ("sendemail",),
        40,
        _sendemail,
    ),
    Scene("spam-snail", SNAIL, "a letter to each of 26 mail servers, one after another", ("s-nail",), 40, _snail),
    Scene(
        "spam-nodemailer",
        NODEMAILER,
        "150 letters to 30 mail servers over connections kept for several, six at once",
        ("node", f"{NODE_MODULES}/nodemailer"),
        40,
        lambda s: _all_at_once(s, "node", str(PLAYERS / "mailer.cjs"), "150", "6"),
    ),
    Scene(
        "spam-perl",
        NET_SMTP,
        "letters to up to six people each at 30 mail servers, one after another, for 40 s",
        ("perl",),
        40,
        lambda s: _all_at_once(s, "perl", "-e", NET_SMTP_RUN, "90"),
    ),
    Scene(
        "spam-aiosmtplib",
        AIOSMTPLIB,
        "90 letters to 30 mail servers, twelve at once",
        (needs_module("aiosmtplib"),),
        40,
        lambda s: _all_at_once(s, PYTHON, "-m", "tests.lab.arena.players.async_mail", "90", "12"),
    ),
)
