"""What servers the internet has: names, and a web server with pages, files and films. Started when first needed."""

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from threading import Lock

from tests.lab.arena.addresses import SEED, SERVER_ADDRESSES
from tests.lab.arena.namespaces import command_in
from tests.lab.arena.processes import Processes
from tests.lab.arena.topology import Topology

WEB_SERVERS = range(60, 120)  # as servers/names.py sends anybody to who looks a name up
MAIL_SERVERS = range(120, 150)
OBJECT_SIZES = (400, 900, 1800, 3500, 7000, 12_000, 20_000, 35_000, 60_000, 110_000, 250_000)
FILE_BYTES = {"large": 60_000_000, "medium": 5_000_000}
SEGMENT_S = 4

NGINX = """
worker_processes 1;
daemon off;
user root;
error_log {folder}/nginx-error.log;
pid {folder}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  types {{
    text/html html; text/css css; text/javascript js;
    application/vnd.apple.mpegurl m3u8; video/mp2t ts; application/dash+xml mpd; video/mp4 mp4;
  }}
  default_type application/byte-stream;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  client_max_body_size 1g;
  keepalive_timeout 20s;
  sendfile on;
  server {{
    {listen}
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/key.pem;
    root {folder}/www;
    add_header Access-Control-Allow-Origin *;
    location /file/ {{ limit_rate 700k; }}
    location /fast/ {{ alias {folder}/www/file/; limit_rate 2m; }}
    location /slow/ {{ alias {folder}/www/file/; limit_rate 150k; }}
    location /put/ {{ dav_methods PUT; create_full_put_path on; client_body_temp_path {folder}/body; }}
  }}
}}
"""


class Services:
    """Starts each service once; they end when `with` is left."""

    def __init__(self, topology: Topology, folder: Path) -> None:
        self._topology, self.folder = topology, folder
        self._processes = Processes(folder)
        self._lock = Lock()
        self._started: set[str] = set()
        self.hosts: dict[str, str] = {}

    def __enter__(self) -> "Services":
        for site in PAGES:
            for host in range(PAGES[site].hosts):
                self.hosts[f"h{host}.{site}.example"] = SERVER_ADDRESSES[
                    Random(f"{SEED} {site} {host}").choice(WEB_SERVERS)
                ]
        names = self.folder / "hosts.json"
        names.write_text(json.dumps(self.hosts))
        self._serve("names", sys.executable, "-m", "tests.lab.arena.servers.names", str(names))
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.close()

    def _serve(self, log: str, *command: str) -> None:
        """Start a server and wait for it to say that it is ready."""
        path = self.folder / f"{log}.log"
        process = self._processes.start(command_in(self._topology.internet, command), log=path.name)
        for _ in range(200):
            if "ready" in path.read_text():
                return
            if process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"{log} does not start: {path.read_text().strip()[-300:]}")

    def mail(self, port: int = 25) -> list[str]:
        """Mail servers that take everything: their addresses."""
        addresses = [SERVER_ADDRESSES[i] for i in MAIL_SERVERS]
        with self._lock:
            if f"mail{port}" not in self._started:
                self._serve(
                    f"mail{port}", sys.executable, "-m", "tests.lab.arena.servers.mail_sink", str(port), *addresses
                )
                self._started.add(f"mail{port}")
        return addresses

    def web(self) -> str:
        """The web server, with everything on it, on all WEB_SERVERS; the address of the first."""
        with self._lock:
            if "web" not in self._started:
                self._start_web()
                self._started.add("web")
        return SERVER_ADDRESSES[WEB_SERVERS[0]]

    def film(self, name: str = "film") -> str:
        """The web server with one of FILMS at /name/index and its suffix; its address."""
        address = self.web()
        with self._lock:
            if name not in self._started:
                _shoot(self.folder / "www" / name, FILMS[name])
                self._started.add(name)
        return address

    def _start_web(self) -> None:
        www = self.folder / "www"
        for part in ("o", "file", "put"):
            (www / part).mkdir(parents=True, exist_ok=True)
        noise = Random(SEED).randbytes(max(OBJECT_SIZES))
        for size in OBJECT_SIZES:
            (www / "o" / str(size)).write_bytes(noise[:size])
        for name, data in FILE_BYTES.items():
            with (www / "file" / name).open("wb") as file:
                file.truncate(data)
        for site, page in PAGES.items():
            for scheme in ("http", "https"):
                write_site(www / f"{site}-{scheme}", site, page, scheme)
        certify = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=example"
        names = ("-addext", "subjectAltName=DNS:*.example,DNS:example")
        files = ("-keyout", str(self.folder / "key.pem"), "-out", str(self.folder / "certificate.pem"))
        subprocess.run([*certify.split(), *names, *files], capture_output=True, check=True)
        addresses = [SERVER_ADDRESSES[i] for i in WEB_SERVERS]
        listen = " ".join(f"listen {address}:80; listen {address}:443 ssl http2;" for address in addresses)
        configuration = self.folder / "nginx.conf"
        configuration.write_text(NGINX.format(folder=self.folder, listen=listen))
        nginx = shutil.which("nginx") or "nginx"
        process = self._processes.start(
            command_in(self._topology.internet, [nginx, "-c", str(configuration)]), log="nginx.log"
        )
        for _ in range(100):
            if (self.folder / "nginx.pid").exists():
                return
            if process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"nginx does not start: {(self.folder / 'nginx.log').read_text()[-300:]}")


@dataclass(frozen=True, slots=True)
class Film:
    """A test picture with noise, so that it does not compress away, and a tone: whole, or in segments."""

    seconds: int
    picture_kbps: int
    segment_s: int = SEGMENT_S
    suffix: str = "m3u8"
    size: str = "480x270"


FILMS = {
    "film": Film(80, 1500),
    "clip": Film(90, 550, segment_s=6, size="320x180"),
    "show": Film(70, 800, segment_s=2, suffix="mpd", size="320x180"),
    "whole": Film(60, 500, suffix="mp4", size="320x180"),
}
CONTAINERS = {
    "m3u8": "-f hls -hls_time {} -hls_list_size 0",
    "mpd": "-f dash -seg_duration {}",
    "mp4": "-f mp4 -movflags +faststart",
}


def _shoot(folder: Path, film: Film) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    picture = f"-f lavfi -i testsrc2=size={film.size}:rate=12:duration={film.seconds}"
    sound = f"-f lavfi -i sine=duration={film.seconds}"
    kbps = film.picture_kbps
    coded = f"-vf noise=alls=40:allf=t -c:v libx264 -preset ultrafast -pix_fmt yuv420p -b:v {kbps}k"
    coded += f" -maxrate {kbps + kbps // 8}k -bufsize {2 * kbps}k -g {12 * film.segment_s} -c:a aac -b:a 64k"
    container = CONTAINERS[film.suffix].format(film.segment_s)
    target = folder / f"index.{film.suffix}"
    words = " ".join((picture, sound, coded, container)).split()
    subprocess.run(["ffmpeg", "-v", "error", *words, str(target)], check=True)


class Page:
    """How large a site's pages are: `objects` on each, from `hosts` hosts, and how many pages one visits."""

    def __init__(self, objects: int, hosts: int, pages: int) -> None:
        self.objects, self.hosts, self.pages = objects, hosts, pages


PAGES = {"shop": Page(80, 20, 3), "news": Page(140, 35, 2), "blog": Page(15, 3, 4), "magazine": Page(45, 14, 2)}
READING_S = 6


def write_site(folder: Path, site: str, page: Page, scheme: str) -> None:
    """Pages of pictures, styles and scripts; each leads on to the next after the time it takes to read one."""
    folder.mkdir(parents=True, exist_ok=True)
    random = Random(f"{SEED} {site}")
    for number in range(page.pages):
        head, body = [], []
        for item in range(page.objects):
            # Hosts are not alike: most things come from a few, the rest from one each.
            host = int(page.hosts * random.random() ** 2)
            size = random.choices(OBJECT_SIZES, weights=(6, 8, 10, 12, 12, 12, 10, 8, 5, 3, 1))[0]
            url = f"{scheme}://h{host}.{site}.example/o/{size}?{number}.{item}"
            if item % 8 == 0:
                head.append(f'<script async src="{url}"></script>')
            else:
                body.append(f'<img src="{url}">')
        onward = f"{scheme}://h0.{site}.example/{site}-{scheme}/{number + 1}.html"
        if number + 1 < page.pages:
            head.append(f"<script>setTimeout(() => {{ location = '{onward}' }}, {READING_S * 1000})</script>")
        (folder / f"{number}.html").write_text(f"<html><head>{''.join(head)}</head><body>{''.join(body)}</body></html>")
