"""More programs that talk with one server: mail, news by MQTT, IRC, a shell."""

import time
from random import Random

from tests.lab.arena.addresses import SEED, SERVER_ADDRESSES
from tests.lab.arena.chat import irc_server, mail_server
from tests.lab.arena.moving import ssh_options, ssh_server
from tests.lab.arena.namespaces import command_in
from tests.lab.arena.programs import packaged
from tests.lab.arena.stage import Cast, Scene, Stage

BROKER, MAIL_SERVERS = 127, (128, 129)
SHELL_PEER = 8  # of those that let the guest in with a key

MBSYNC = Cast("client-server", "mbsync", "isync", lambda: packaged("isync"))
FETCHMAIL = Cast("client-server", "fetchmail", "fetchmail", lambda: packaged("fetchmail"))
MOSQUITTO = Cast("client-server", "mosquitto_sub", "mosquitto", lambda: packaged("mosquitto-clients"))
WEECHAT = Cast("client-server", "weechat", "weechat", lambda: packaged("weechat-headless"))
SSH = Cast("client-server", "ssh", "openssh", lambda: packaged("openssh-client"))

MBSYNC_SETTINGS = """IMAPAccount arena
Host {address}
User guest
Pass secret
SSLType None
AuthMechs *

IMAPStore far
Account arena

MaildirStore near
Path {folder}/near/
Inbox {folder}/near/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Near
SyncState *
"""


def _mbsync(stage: Stage) -> None:
    """Twice: all there is, then what is new, which is nothing."""
    address = SERVER_ADDRESSES[MAIL_SERVERS[0]]
    mail_server(stage, address)
    (stage.folder / "near").mkdir()
    settings = stage.folder / "mbsyncrc"
    settings.write_text(MBSYNC_SETTINGS.format(address=address, folder=stage.folder))
    with stage.recorded():
        for _ in range(2):
            stage.run("mbsync", "-q", "-c", str(settings), "all", for_s=25)
            time.sleep(8)


def _fetchmail(stage: Stage) -> None:
    """Folder by folder, each letter read and left where it is."""
    address = SERVER_ADDRESSES[MAIL_SERVERS[1]]
    mail_server(stage, address)
    settings = stage.folder / "fetchmailrc"
    folders = ",".join(["INBOX", *(f"folder{number}" for number in range(1, 5))])
    settings.write_text(
        f'poll {address} protocol imap auth password user "guest" password "secret" folder {folders} '
        'keep sslproto "" mda "cat > /dev/null"\n'
    )
    settings.chmod(0o600)
    with stage.recorded():
        stage.run("fetchmail", "-s", "-f", str(settings), "--pidfile", str(stage.folder / "pid"), for_s=40)


MOSQUITTO_SETTINGS = """listener {port} {address}
allow_anonymous true
"""


def _mosquitto(stage: Stage, topics: int, seconds: float) -> None:
    """News of many things, of which some is kept for those who come later."""
    address, port = SERVER_ADDRESSES[BROKER], 1883
    settings = stage.folder / "mosquitto.conf"
    settings.write_text(MOSQUITTO_SETTINGS.format(address=address, port=port))
    stage.server("mosquitto", "-c", str(settings))
    time.sleep(1.5)
    broker = ("-h", address, "-p", str(port))
    for topic in range(topics):
        news = ["mosquitto_pub", *broker, "-r", "-t", f"thing/{topic}", "-m", "it is 21 degrees " * (1 + topic % 5)]
        stage.processes.start(command_in(stage.topology.internet, news), log="news.log").wait(5)
    talk = f"while sleep 0.8; do mosquitto_pub -h {address} -p {port} -t thing/3 -m 'it is 22 degrees'; done"
    stage.server("sh", "-c", talk)
    with stage.recorded():
        stage.run("mosquitto_sub", *broker, "-k", "10", "-t", "thing/#", for_s=seconds)


def _weechat(stage: Stage) -> None:
    address, port = irc_server(stage, 20, 22)
    home = stage.folder / "weechat"
    rooms = ",".join(f"#room{number}" for number in range(22))
    orders = (f"/server add arena {address}/{port} -notls -nicks=traveller -autojoin={rooms}", "/connect arena")
    with stage.recorded():
        words = [word for order in orders for word in ("-r", order)]
        stage.run("weechat-headless", "-d", str(home), *words, for_s=40)


TYPED = ("ls -la /usr/lib\n", "uptime\n", "df -h\n", "ps aux\n", "cat /etc/services\n", "date\n")


def _ssh(stage: Stage, seconds: float) -> None:
    """Somebody types orders, a key at a time, and reads what comes of them."""
    address = ssh_server(stage, SHELL_PEER)
    random = Random(SEED)
    command = ["ssh", "-tt", *ssh_options(stage), f"root@{address}"]
    with stage.recorded():
        stage.commands.append("ssh -tt, with orders typed")
        shell = stage.processes.start(command_in(stage.guest, command), log="guest.log", stdin=True)
        assert shell.stdin is not None
        time.sleep(2)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for key in random.choice(TYPED):
                shell.stdin.write(key.encode())
                shell.stdin.flush()
                time.sleep(random.uniform(0.06, 0.3))
            time.sleep(random.uniform(1, 4))
        stage.stop(shell)


SCENES = (
    Scene(
        "mail-mbsync",
        MBSYNC,
        "12 folders brought home over IMAP, then looked at again",
        ("mbsync", "dovecot"),
        50,
        _mbsync,
    ),
    Scene("mail-fetchmail", FETCHMAIL, "five folders read over IMAP", ("fetchmail", "dovecot"), 50, _fetchmail),
    Scene(
        "mqtt-mosquitto",
        MOSQUITTO,
        "news of 40 things, what was kept and what comes",
        ("mosquitto", "mosquitto_sub"),
        50,
        lambda s: _mosquitto(s, 40, 35),
    ),
    Scene(
        "irc-weechat",
        WEECHAT,
        "joins 22 rooms with 20 people on one server",
        ("weechat-headless", "ngircd"),
        50,
        _weechat,
    ),
    Scene("shell-ssh", SSH, "orders typed in a shell for 35 s", ("ssh", "/usr/sbin/sshd"), 45, lambda s: _ssh(s, 35)),
)
