"""Files moved by programs that move files, each by a protocol of its own or its own hand at a common one."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.lab.arena.addresses import PEER_ADDRESSES
from tests.lab.arena.programs import module_version, needs_module, packaged, version
from tests.lab.arena.stage import Cast, Scene, Stage
from tests.lab.arena.topology import Door
from tests.lab.arena.tox import wait_for

PYTHON = sys.executable
YT_DLP = Path(PYTHON).with_name("yt-dlp")
SERVERS = 130  # the first of the peers that hold files: one for each scene
BYTES = 5_000_000

SFTP = Cast("bulk-transfer", "sftp", "openssh", lambda: packaged("openssh-client"))
RCLONE = Cast("bulk-transfer", "rclone sftp", "rclone", lambda: packaged("rclone"))
LFTP = Cast("bulk-transfer", "lftp mirror", "lftp", lambda: packaged("lftp"))
NCFTP = Cast("bulk-transfer", "ncftpput", "ncftp", lambda: packaged("ncftp"))
AXEL = Cast("bulk-transfer", "axel", "axel", lambda: packaged("axel"))
WGET2 = Cast("bulk-transfer", "wget2", "wget2", lambda: packaged("wget2"))
SMB = Cast("bulk-transfer", "smbclient", "samba", lambda: packaged("smbclient"))
GIT = Cast("bulk-transfer", "git clone", "git", lambda: version("git", "--version"))
IPERF = Cast("bulk-transfer", "iperf3", "iperf3", lambda: packaged("iperf3"))
YT_DLP_CAST = Cast("bulk-transfer", "yt-dlp", "yt-dlp", lambda: module_version("yt-dlp"))
QUIC = Cast("bulk-transfer", "aioquic", "aioquic", lambda: module_version("aioquic"))


def _files(stage: Stage, count: int, data: int) -> Path:
    """A folder of noise."""
    folder = stage.folder / "share"
    folder.mkdir()
    with Path("/dev/urandom").open("rb") as noise:
        for number in range(count):
            (folder / f"{number}.bin").write_bytes(noise.read(data))
    return folder


def _move(stage: Stage, command: Sequence[str], for_s: float) -> None:
    with stage.recorded():
        stage.run(*command, for_s=for_s)


SSHD = """Port 22
ListenAddress {address}
HostKey {folder}/host
AuthorizedKeysFile {folder}/key.pub
PidFile {folder}/sshd.pid
PermitRootLogin yes
StrictModes no
UsePAM no
Subsystem sftp internal-sftp
"""


def ssh_server(stage: Stage, number: int) -> str:
    """A machine that lets the guest in with a key: its address."""
    address = PEER_ADDRESSES[SERVERS + number]
    for name in ("host", "key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(stage.folder / name)]
        stage.processes.start(command, log="keygen.log").wait(10)
    Path("/run/sshd").mkdir(exist_ok=True)
    settings = stage.folder / "sshd.conf"
    settings.write_text(SSHD.format(address=address, folder=stage.folder))
    stage.peer(SERVERS + number, "/usr/sbin/sshd", "-D", "-e", "-f", str(settings), door=Door.OPEN)
    time.sleep(1.5)
    return address


def ssh_options(stage: Stage) -> tuple[str, ...]:
    """How the guest is let in there."""
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes")
    return ("-i", str(stage.folder / "key"), *(word for option in options for word in ("-o", option)))


def _sftp(stage: Stage) -> None:
    share = _files(stage, 2, BYTES // 2)
    address = ssh_server(stage, 0)
    mine = stage.folder / "mine"
    mine.mkdir()
    _move(stage, ("sftp", "-q", "-l", "3500", *ssh_options(stage), "-r", f"root@{address}:{share}", str(mine)), 30)


def _rclone(stage: Stage) -> None:
    """Up, four at a time."""
    share = _files(stage, 24, BYTES // 24)
    address = ssh_server(stage, 1)
    there = f":sftp,host={address},user=root,key_file={stage.folder}/key:{stage.folder}/there"
    options = ("--transfers", "4", "--bwlimit", "800k", "--config", str(stage.folder / "rclone.conf"))
    _move(stage, ("rclone", "copy", *options, str(share), there), 30)


VSFTPD = """listen=YES
listen_address={address}
background=NO
anonymous_enable=YES
anon_root={folder}
anon_upload_enable=YES
anon_other_write_enable=YES
write_enable=YES
no_anon_password=YES
allow_writeable_chroot=YES
pasv_min_port=40000
pasv_max_port=40200
anon_max_rate=700000
seccomp_sandbox=NO
secure_chroot_dir={empty}
ftp_username=nobody
run_as_launching_user=YES
"""


def _ftp_server(stage: Stage, number: int, folder: Path) -> str:
    address = PEER_ADDRESSES[SERVERS + number]
    empty = stage.folder / "empty"
    empty.mkdir()
    settings = stage.folder / "vsftpd.conf"
    settings.write_text(VSFTPD.format(address=address, folder=folder, empty=empty))
    stage.peer(SERVERS + number, "vsftpd", str(settings), door=Door.OPEN)
    time.sleep(1.5)
    return address


def _lftp(stage: Stage) -> None:
    share = _files(stage, 40, BYTES // 40)
    address = _ftp_server(stage, 2, share)
    mirror = f"mirror --parallel=3 {share} {stage.folder}/mine"
    _move(stage, ("lftp", "-c", f"open ftp://{address}; {mirror}"), 40)


def _ncftp(stage: Stage) -> None:
    share = _files(stage, 3, BYTES // 3)
    there = stage.folder / "there"
    there.mkdir()
    address = _ftp_server(stage, 3, there)
    _move(stage, ("ncftpput", "-V", "-F", address, str(there), *(str(path) for path in sorted(share.iterdir()))), 40)


SMBD = """[global]
  interfaces = {address}
  bind interfaces only = yes
  private dir = {folder}/smb
  lock directory = {folder}/smb
  state directory = {folder}/smb
  cache directory = {folder}/smb
  pid directory = {folder}/smb
  ncalrpc dir = {folder}/smb/ncalrpc
  log file = {folder}/smbd.log
  map to guest = bad user
  guest account = root
  disable spoolss = yes
[share]
  path = {share}
  guest ok = yes
  read only = no
"""


def _smb(stage: Stage) -> None:
    share = _files(stage, 6, BYTES // 6)
    address = PEER_ADDRESSES[SERVERS + 4]
    (stage.folder / "smb").mkdir()
    settings = stage.folder / "smb.conf"
    settings.write_text(SMBD.format(address=address, folder=stage.folder, share=share))
    stage.peer(SERVERS + 4, "smbd", "-F", "--no-process-group", "-s", str(settings), door=Door.OPEN)
    time.sleep(3)
    mine = stage.folder / "mine"
    mine.mkdir()
    script = f"lcd {mine}; prompt OFF; mget *"
    _move(stage, ("smbclient", "-s", "/dev/null", "-N", f"//{address}/share", "-c", script), 40)


def _git(stage: Stage) -> None:
    share = _files(stage, 60, BYTES // 60)
    name = ("-c", "user.name=someone", "-c", "user.email=someone@example.net")
    for words in (("init", "-q"), ("add", "."), (*name, "commit", "-q", "-m", "all")):
        stage.processes.start(["git", "-C", str(share), *words], log="git.log").wait(20)
    address = PEER_ADDRESSES[SERVERS + 5]
    daemon = ("git", "daemon", f"--base-path={stage.folder}", "--export-all", f"--listen={address}")
    stage.peer(SERVERS + 5, *daemon, door=Door.OPEN)
    time.sleep(1)
    _move(stage, ("git", "clone", "-q", f"git://{address}/share", str(stage.folder / "clone")), 30)


def _iperf(stage: Stage) -> None:
    address = PEER_ADDRESSES[SERVERS + 6]
    stage.peer(SERVERS + 6, "iperf3", "-s", "-B", address, door=Door.OPEN)
    time.sleep(1)
    _move(stage, ("iperf3", "-c", address, "-R", "-t", "8", "-P", "3", "-b", "1500k"), 20)


def _quic(stage: Stage) -> None:
    address = PEER_ADDRESSES[SERVERS + 7]
    stage.services.web()
    files = (str(stage.services.folder / name) for name in ("certificate.pem", "key.pem"))
    player = (PYTHON, "-m", "tests.lab.arena.players.quic")
    stage.peer(SERVERS + 7, *player, "give", address, "443", *files, door=Door.OPEN, log="giver.log")
    wait_for(stage.folder / "giver.log", "ready", 20)
    _move(stage, (*player, "take", address, "443", str(BYTES)), 30)


def _from_web(stage: Stage, *command: str, for_s: float = 30) -> None:
    address = stage.services.web()
    _move(stage, [word.replace("{}", address) for word in command], for_s)


def _yt_dlp(stage: Stage) -> None:
    address = stage.services.film("clip")
    options = ("-q", "--no-cache-dir", "--downloader", "m3u8:native", "--fixup", "never")
    _move(stage, (str(YT_DLP), *options, "-o", f"{stage.folder}/film.mp4", f"http://{address}/clip/index.m3u8"), 40)


SCENES = (
    Scene("bulk-sftp", SFTP, "two files of 2.5 MB down by SFTP at 3.5 Mbit/s", ("sftp", "/usr/sbin/sshd"), 40, _sftp),
    Scene(
        "bulk-rclone",
        RCLONE,
        "24 files of 5 MB together up by SFTP, four at a time",
        ("rclone", "/usr/sbin/sshd"),
        40,
        _rclone,
    ),
    Scene("bulk-lftp", LFTP, "40 files of 5 MB together down by FTP, three at a time", ("lftp", "vsftpd"), 40, _lftp),
    Scene("bulk-ncftp", NCFTP, "three files of 5 MB together up by FTP", ("ncftpput", "vsftpd"), 40, _ncftp),
    Scene("bulk-smb", SMB, "six files of 5 MB together from a Windows share", ("smbclient", "smbd"), 40, _smb),
    Scene("bulk-git", GIT, "a repository of 5 MB cloned by git's own protocol", ("git",), 30, _git),
    Scene(
        "bulk-iperf",
        IPERF,
        "three streams down for 8 s, held at 4.5 Mbit/s",
        ("iperf3",),
        20,
        _iperf,
    ),
    Scene("bulk-quic", QUIC, "one file of 5 MB over QUIC", (needs_module("aioquic"), "nginx"), 30, _quic),
    Scene(
        "bulk-axel",
        AXEL,
        "one file of 5 MB over five connections",
        ("axel", "nginx"),
        20,
        lambda s: _from_web(s, "axel", "-q", "-n", "5", "-o", str(s.folder / "file"), "http://{}/slow/medium"),
    ),
    Scene(
        "bulk-wget2",
        WGET2,
        "one file of 5 MB by HTTPS, HTTP/2",
        ("wget2", "nginx"),
        20,
        lambda s: _from_web(
            s, "wget2", "-q", "--no-check-certificate", "-O", str(s.folder / "file"), "https://{}/file/medium"
        ),
    ),
    Scene(
        "bulk-yt-dlp",
        YT_DLP_CAST,
        "a film of 7 MB in segments of 6 s, saved as fast as it comes",
        (str(YT_DLP), "ffmpeg", "nginx"),
        30,
        _yt_dlp,
    ),
)
