"""A plant where everybody must log in, over HTTPS, as people and programs meet it."""

import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from support.browser import chromium
from support.plant import FREE_PORTS, RunningPlant, started

AXE = Path(__file__).parents[2] / "frontend/node_modules/axe-core/axe.min.js"
PASSWORD = "a brass valve sings at dusk"
PATIENCE_MS = 60_000
TOML = """
[plant]
name = "Osaka works"
[bus]
port = 0
[web]
tls = true
[people]
loopback = "login"
banner = "Only for people of the plant."
[identity]
port = 0
[devices.press]
driver = "modbus"
host = "127.0.0.1"
port = 1
points = "press.csv"
"""
POINTS = "name,address,type\nacme/osaka/speed,holding:1,int\n"
pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("demo")]
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlant]:
    home = tmp_path_factory.mktemp("plant")
    (home / "lineshaft.toml").write_text(TOML, "utf-8")
    (home / "press.csv").write_text(POINTS, "utf-8")
    words = ["up", "--config", str(home / "lineshaft.toml")]
    with started(words, home / "data", FREE_PORTS) as running:
        yield running


def lineshaft(plant: RunningPlant, *words: str) -> str:
    config = plant.data.parent / "lineshaft.toml"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "lineshaft", *words, "--data", str(plant.data)),
            *(("--config", str(config)) if words[0] != "audit" else ()),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def trusting(plant: RunningPlant) -> ssl.SSLContext:
    return ssl.create_default_context(
        cafile=str(plant.data / "authority" / "issuing.pem")
    )


def ask(
    plant: RunningPlant, path: str, body: object = None, cookie: str = ""
) -> tuple[int, Any, str]:
    """Return status, answer and cookie."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Cookie": cookie}
    request = Request(f"{plant.url}/api/v1{path}", data, headers)
    try:
        with urlopen(request, timeout=60, context=trusting(plant)) as answer:
            cookies = answer.headers.get_all("Set-Cookie") or []
            kept = "; ".join(each.partition(";")[0] for each in cookies)
            return answer.status, json.load(answer), kept
    except HTTPError as error:
        with error:
            return error.code, json.load(error), ""


def link(plant: RunningPlant, *words: str) -> str:
    return str(json.loads(lineshaft(plant, "people", *words, "--json"))["path"])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def page(browser: Browser, plant: RunningPlant) -> Iterator[Page]:
    # Its own authority is not the browser's; that is tried with OpenSSL here.
    context = browser.new_context(
        locale="en-GB", ignore_https_errors=True, base_url=plant.url
    )
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


def test_the_first_account_is_made_by_its_link_and_logs_in_with_a_passkey(
    page: Page, plant: RunningPlant
) -> None:
    url = plant.url.replace("127.0.0.1", "localhost")
    page.goto(f"{url}{link(plant, 'set-up')}")
    expect(page.get_by_role("heading", name="The first account")).to_be_visible()
    expect(page.get_by_text("Only for people of the plant.")).to_be_visible()
    assert_readable(page)
    page.locator("#door-name").fill("maria")
    page.locator("#door-password").fill(PASSWORD)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("button", name="Account: maria")).to_be_visible()
    expect(page.get_by_text("acme/osaka").first).to_be_visible()
    device = page.context.new_cdp_session(page)
    device.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True,
        "hasUserVerification": True, "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }  # fmt: skip
    device.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    page.get_by_role("button", name="Account: maria").click()
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_text("The passkey works from now on.")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.get_by_role("button", name="Log in with a passkey").click()
    expect(page.get_by_role("button", name="Account: maria")).to_be_visible()
    lineshaft(plant, "people", "end", "maria")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.locator("#door-name").fill("maria")
    page.locator("#door-password").fill("wrong")
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("is wrong")


def assert_readable(page: Page) -> None:
    # The page's own rules let no script of others in, so the check goes around them.
    page.evaluate("() => document.title")
    source = AXE.read_text("utf-8")
    page.evaluate(source)
    found = page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa']})")
    grave = [
        each["id"] for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]  # fmt: skip
    assert grave == []


def until_closed(socket: ClientConnection) -> int:
    """Hear everything until the plant hangs up; return why."""
    try:
        while True:
            socket.recv(timeout=60)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 0


def test_a_session_that_is_ended_closes_what_it_follows(
    plant: RunningPlant,
) -> None:
    lineshaft(plant, "people", "add", "otto")
    code = link(plant, "invite", "otto").rpartition("/")[2]
    body = {"code": code, "password": "seven grey herons wait"}
    status, _, cookie = ask(plant, "/session/invited", body)
    assert status == 201
    live = plant.url.replace("https", "wss") + "/api/v1/live"
    context = trusting(plant)
    headers = {"Cookie": cookie}
    with connect(live, ssl=context, additional_headers=headers) as socket:
        socket.recv(timeout=60)
        lineshaft(plant, "people", "disable", "otto")
        assert until_closed(socket) == 4401
    assert ask(plant, "/points", cookie=cookie)[0] == 401


def test_nobody_gets_in_without_a_login_and_it_is_all_written_down(
    plant: RunningPlant,
) -> None:
    assert ask(plant, "/points")[0] == 401
    wrong = {"name": "maria", "password": "wrong"}
    assert ask(plant, "/session", wrong)[0] in (401, 429)
    lineshaft(plant, "people", "add", "nils")
    lineshaft(plant, "trust", "invite", "press-7")
    deadline = time.monotonic() + 60
    kinds: set[str] = set()
    while time.monotonic() < deadline and "identity.invited" not in kinds:
        shown = json.loads(lineshaft(plant, "audit", "show", "--json"))
        kinds = {each["record"]["kind"] for each in shown}
        time.sleep(0.5)
    assert kinds >= {"account.made", "login.password", "identity.invited"}
    assert "all" in lineshaft(plant, "audit", "verify")
    # No secret lies about: neither passwords nor codes, in no file and no log.
    for file in plant.data.rglob("*"):
        if file.is_file() and file.stat().st_size < 50 << 20:
            assert PASSWORD.encode() not in file.read_bytes(), file


def test_secrets_are_for_the_plant_s_user_alone(plant: RunningPlant) -> None:
    names = ("people.sqlite", "register.sqlite", "key", "running.json")
    files = plant.data.rglob("*")
    private = [file for file in files if file.name in names or file.suffix == ".key"]
    assert len(private) >= 6
    assert {
        file: oct(file.stat().st_mode & 0o077) for file in private
    } == dict.fromkeys(private, "0o0")
    command = " ".join(" ".join(child.cmdline()) for child in plant.children())
    assert "nats://" not in command
    assert psutil.Process(plant.process.pid).is_running()
