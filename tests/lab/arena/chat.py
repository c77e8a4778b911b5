"""Chat and mail through one server: many rooms, one connection."""

import shutil
import sys
import time

from tests.lab.arena.addresses import SERVER_ADDRESSES
from tests.lab.arena.programs import version
from tests.lab.arena.stage import Cast, Scene, Stage

IRC_SERVER, XMPP_SERVER, MAIL_SERVER = 122, 123, 124
PYTHON = sys.executable
IRC = Cast("client-server", "irc client", "irc", lambda: version(PYTHON, "--version"))
IRSSI = Cast("client-server", "irssi", "irc", lambda: version("irssi", "--version"))
XMPP = Cast(
    "client-server", "slixmpp", "xmpp", lambda: version(PYTHON, "-c", "import slixmpp; print(slixmpp.__version__)")
)
IMAP = Cast("client-server", "curl imap and swaks", "mail", lambda: version("curl", "--version"))

NGIRCD = """[Global]
Name = irc.arena.example
Info = arena
Ports = {port}
Listen = {address}
ServerUID = root
ServerGID = root
PidFile = {folder}/ngircd.pid
[Limits]
MaxConnectionsIP = 0
MaxJoins = 0
[Options]
PAM = no
Ident = no
DNS = no
ChrootDir =
"""
IRSSI_SETTINGS = """servers = ( {{ address = "{address}"; chatnet = "arena"; port = "{port}"; autoconnect = "yes"; }} );
chatnets = {{ arena = {{ type = "IRC"; max_cmds_at_once = "40"; cmd_queue_speed = "200"; }}; }};
channels = ( {channels} );
settings = {{ core = {{ nick = "traveller"; user_name = "traveller"; real_name = "traveller"; }}; }};
"""


def irc_server(stage: Stage, users: int, channels: int) -> tuple[str, int]:
    """A server with people on it: its address and port."""
    address, port = SERVER_ADDRESSES[IRC_SERVER], 6600 + stage.number
    settings = stage.folder / "ngircd.conf"
    settings.write_text(NGIRCD.format(address=address, port=port, folder=stage.folder))
    stage.server("ngircd", "-n", "-f", str(settings))
    time.sleep(1.5)
    people = [str(number) for number in (users, channels, 150)]
    stage.server(PYTHON, "-m", "tests.lab.arena.players.irc", address, str(port), "p", *people, log="people.log")
    time.sleep(4)
    return address, port


def irc_guest(stage: Stage, where: tuple[str, int], channels: int, seconds: int) -> None:
    """The guest joins them."""
    address, port = where
    numbers = ["1", str(channels), str(seconds)]
    stage.run(PYTHON, "-m", "tests.lab.arena.players.irc", address, str(port), "guest", *numbers, for_s=seconds + 10)


def _irc(stage: Stage, users: int, channels: int) -> None:
    where = irc_server(stage, users, channels)
    with stage.recorded():
        irc_guest(stage, where, channels, 40)


def _irssi(stage: Stage) -> None:
    address, port = irc_server(stage, 25, 30)
    home = stage.folder / ".irssi"
    home.mkdir()
    channels = ", ".join(f'{{ name = "#room{n}"; chatnet = "arena"; autojoin = "yes"; }}' for n in range(30))
    (home / "config").write_text(IRSSI_SETTINGS.format(address=address, port=port, channels=channels))
    with stage.recorded():
        environment = {"TERM": "xterm", "LC_ALL": "C.UTF-8"}
        stage.run("script", "-qfec", f"irssi --home={home}", "/dev/null", for_s=45, environment=environment)


PROSODY = """pidfile = "{folder}/prosody.pid"
data_path = "{folder}"
interfaces = {{ "{address}" }}
c2s_ports = {{ {port} }}
s2s_ports = {{ }}
daemonize = false
run_as_root = true
modules_enabled = {{ "saslauth", "disco", "roster", "ping", "presence", "message", "iq", "c2s" }}
modules_disabled = {{ "s2s", "tls" }}
allow_unencrypted_plain_auth = true
c2s_require_encryption = false
log = {{ info = "{folder}/prosody.log" }}
VirtualHost "chat.example"
  authentication = "anonymous"
  disallow_s2s = true
Component "rooms.chat.example" "muc"
  muc_room_locking = false
"""


def _xmpp(stage: Stage, users: int, rooms: int) -> None:
    address, port = SERVER_ADDRESSES[XMPP_SERVER], 5222
    settings = stage.folder / "prosody.cfg.lua"
    settings.write_text(PROSODY.format(folder=stage.folder, address=address, port=port))
    stage.server("prosody", "--config", str(settings))
    time.sleep(2.5)
    people = ["-m", "tests.lab.arena.players.xmpp", address, str(port)]
    stage.server(PYTHON, *people, "p", str(users), str(rooms), "150", log="people.log")
    time.sleep(14)
    with stage.recorded():
        stage.run(PYTHON, *people, "guest", "1", str(rooms), "40", for_s=50)


DOVECOT = """protocols = imap
base_dir = {folder}/run
log_path = {folder}/dovecot.log
ssl = no
disable_plaintext_auth = no
listen = {address}
default_internal_user = root
default_login_user = nobody
first_valid_uid = 1
mail_location = maildir:{folder}/mail
auth_mechanisms = plain
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={folder}/mail
}}
service imap-login {{
  chroot =
}}
service anvil {{
  chroot =
}}
"""
FOLDERS = 12
LETTERS = 25


def _mailbox(stage: Stage) -> None:
    """Folders with letters in them."""
    for number in range(FOLDERS):
        folder = stage.folder / "mail" / (f".folder{number}" if number else ".")
        for part in ("cur", "new", "tmp"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        for letter in range(LETTERS):
            text = f"From: someone@example.net\r\nSubject: letter {letter}\r\n\r\n" + "dear reader\r\n" * (
                letter * letter
            )
            (folder / "new" / f"{letter}.arena").write_text(text)
    for path in (stage.folder / "mail", *(stage.folder / "mail").rglob("*")):
        shutil.chown(path, "mail", "mail")


def mail_server(stage: Stage, address: str) -> None:
    """An IMAP server with a mailbox."""
    _mailbox(stage)
    settings = stage.folder / "dovecot.conf"
    settings.write_text(DOVECOT.format(folder=stage.folder, address=address))
    stage.server("dovecot", "-F", "-c", str(settings))
    time.sleep(2)


def _mail(stage: Stage) -> None:
    """A client comes on line: asks for folders, fetches what is new in each, sends two letters."""
    address = SERVER_ADDRESSES[MAIL_SERVER]
    submission = stage.services.mail(587)[4]
    mail_server(stage, address)
    with stage.recorded():
        login = ["curl", "-s", "-u", "guest:secret"]
        stage.run(*login, f"imap://{address}/", for_s=10)
        for number in range(FOLDERS):
            box = f"folder{number}" if number else "INBOX"
            stage.run(*login, f"imap://{address}/{box}", "-X", "FETCH 1:* (FLAGS ENVELOPE)", for_s=10)
            stage.run(*login, f"imap://{address}/{box};MAILINDEX=[1-8]", for_s=10)
        for _ in range(2):
            stage.run(
                "swaks",
                "--server",
                submission,
                "--port",
                "587",
                "--from",
                "guest@example.com",
                "--to",
                "b@example.net",
                "--hide-all",
                for_s=10,
            )


SCENES = (
    Scene(
        "irc-rooms-60", IRC, "joins 60 rooms with 30 people on one server", ("ngircd",), 50, lambda s: _irc(s, 30, 60)
    ),
    Scene(
        "irc-rooms-15", IRC, "joins 15 rooms with 12 people on one server", ("ngircd",), 50, lambda s: _irc(s, 12, 15)
    ),
    Scene("irc-irssi", IRSSI, "joins 30 rooms with 25 people on one server", ("ngircd", "irssi", "script"), 50, _irssi),
    Scene(
        "xmpp-rooms-40",
        XMPP,
        "joins 40 rooms with 12 people on one server, with what was said before",
        ("prosody",),
        60,
        lambda s: _xmpp(s, 12, 40),
    ),
    Scene(
        "mail-imap",
        IMAP,
        "12 folders looked through and read, two letters sent",
        ("dovecot", "curl", "swaks"),
        30,
        _mail,
    ),
)
