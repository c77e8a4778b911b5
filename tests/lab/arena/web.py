"""Pages of many objects from many hosts, read by browsers and by tools that fetch a page whole."""

import json
import time

from tests.lab.arena.programs import version
from tests.lab.arena.services import OBJECT_SIZES, PAGES
from tests.lab.arena.stage import Cast, Scene, Stage

CHROMIUM = Cast("web", "chromium", "chromium", lambda: version("chromium", "--version"))
FIREFOX = Cast("web", "firefox", "firefox", lambda: version("firefox-esr", "--version"))
WGET = Cast("web", "wget", "wget", lambda: version("wget", "--version"))
CURL = Cast("web", "curl --parallel", "curl", lambda: version("curl", "--version"))
NODE = Cast("web", "node fetch", "node", lambda: version("node", "--version"))

# What keeps a browser from asking its maker's servers, which do not exist here, is left as it comes: it asks, finds
# no name, and goes on, as it does in many a hotel.
CHROMIUM_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--ignore-certificate-errors",
    "--no-first-run",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
)
FIREFOX_PREFERENCES = """user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("network.dns.disableIPv6", true);
"""


def page(site: str, scheme: str, number: int = 0) -> str:
    """The address of a page."""
    return f"{scheme}://h0.{site}.example/{site}-{scheme}/{number}.html"


def browse(stage: Stage, site: str, scheme: str, for_s: float) -> None:
    """Chromium reads a site's pages, one after another."""
    profile = stage.folder / "chromium"
    stage.run("chromium", *CHROMIUM_OPTIONS, f"--user-data-dir={profile}", page(site, scheme), for_s=for_s)


def _chromium(stage: Stage, site: str, scheme: str, for_s: float) -> None:
    stage.services.web()
    with stage.recorded():
        browse(stage, site, scheme, for_s)


def _firefox(stage: Stage, site: str, for_s: float) -> None:
    stage.services.web()
    profile = stage.folder / "firefox"
    profile.mkdir()
    (profile / "user.js").write_text(FIREFOX_PREFERENCES)
    with stage.recorded():
        stage.run("firefox-esr", "--headless", "--profile", str(profile), page(site, "http"), for_s=for_s)


def _wget(stage: Stage) -> None:
    stage.services.web()
    with stage.recorded():
        for number in range(PAGES["shop"].pages):
            stage.run(
                "wget", "-q", "-p", "-H", "-P", str(stage.folder / "wget"), page("shop", "http", number), for_s=20
            )
            time.sleep(2)


def _urls(site: str, scheme: str, count: int) -> list[str]:
    hosts = PAGES[site].hosts
    return [
        f"{scheme}://h{i * i % hosts}.{site}.example/o/{OBJECT_SIZES[i % len(OBJECT_SIZES)]}?{i}" for i in range(count)
    ]


def _curl(stage: Stage) -> None:
    stage.services.web()
    settings = stage.folder / "urls"
    lines = (f'url = "{url}"\noutput = "/dev/null"' for url in _urls("shop", "https", 80))
    settings.write_text("\n".join(lines))
    with stage.recorded():
        for _ in range(2):
            stage.run("curl", "-s", "-k", "--parallel", "--parallel-max", "24", "-K", str(settings), for_s=20)
            time.sleep(4)


NODE_PAGE = """
const urls = JSON.parse(process.argv[1]);
const rest = (ms) => new Promise((done) => setTimeout(done, ms));
for (let visit = 0; visit < 2; visit++) {
  await Promise.allSettled(urls.map(async (url) => (await fetch(url)).arrayBuffer()));
  await rest(7000);
}
"""


def _node(stage: Stage) -> None:
    stage.services.web()
    with stage.recorded():
        stage.run("node", "--input-type=module", "-e", NODE_PAGE, json.dumps(_urls("news", "http", 100)), for_s=30)


SCENES = (
    Scene(
        "web-chromium-http",
        CHROMIUM,
        "three pages of 80 objects from 20 hosts, HTTP/1.1",
        ("chromium", "nginx"),
        30,
        lambda s: _chromium(s, "shop", "http", 26),
    ),
    Scene(
        "web-chromium-h2",
        CHROMIUM,
        "three pages of 80 objects from 20 hosts, HTTP/2",
        ("chromium", "nginx"),
        30,
        lambda s: _chromium(s, "shop", "https", 26),
    ),
    Scene(
        "web-chromium-news",
        CHROMIUM,
        "two pages of 140 objects from 35 hosts, HTTP/2",
        ("chromium", "nginx"),
        30,
        lambda s: _chromium(s, "news", "https", 24),
    ),
    Scene(
        "web-chromium-blog",
        CHROMIUM,
        "four pages of 15 objects from 3 hosts, HTTP/1.1",
        ("chromium", "nginx"),
        30,
        lambda s: _chromium(s, "blog", "http", 30),
    ),
    Scene(
        "web-firefox-http",
        FIREFOX,
        "three pages of 80 objects from 20 hosts, HTTP/1.1",
        ("firefox-esr", "nginx"),
        30,
        lambda s: _firefox(s, "shop", 28),
    ),
    Scene(
        "web-firefox-news",
        FIREFOX,
        "two pages of 140 objects from 35 hosts, HTTP/1.1",
        ("firefox-esr", "nginx"),
        30,
        lambda s: _firefox(s, "news", 26),
    ),
    Scene("web-wget-page", WGET, "three pages with all their objects, one after another", ("wget", "nginx"), 30, _wget),
    Scene(
        "web-curl-parallel", CURL, "80 objects from 20 hosts, twice, 24 at once, HTTP/2", ("curl", "nginx"), 30, _curl
    ),
    Scene("web-node-fetch", NODE, "100 objects from 35 hosts, twice, all at once", ("node", "nginx"), 30, _node),
)
