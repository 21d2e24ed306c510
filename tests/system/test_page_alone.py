"""The page in a real Chromium, before a fake plant that can be cut off."""

import contextlib
import http.client
import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    expect,
)

from support.browser import chromium

ROOT = Path(__file__).parents[2]
AXE = ROOT / "frontend/node_modules/axe-core/axe.min.js"
PRESS = "acme/osaka/stamping/press_1"
PATIENCE_MS = 30_000


@pytest.fixture(scope="module")
def plant() -> Iterator[str]:
    """Serve the fake plant in a process of its own; give its address."""
    if not (ROOT / "src/lineshaft/web/static/.hash").is_file():
        pytest.fail("the page is not built: run `make setup`")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    where = ["--host", "127.0.0.1", "--port", str(port), "--respawn-failed-workers"]
    api = "support.fake_api.server:app"
    server = subprocess.Popen(
        [sys.executable, "-m", "granian", "--interface", "asgi", *where, api],
        cwd=ROOT / "tests",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(f"http://127.0.0.1:{port}/api/v1/health", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            assert server.poll() is None, "the fake plant did not start"
            assert time.monotonic() < end, "the fake plant does not answer"
            time.sleep(0.1)
        else:
            return


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A desk-size page in English; nothing may go wrong in its console."""
    yield from _open(browser, locale="en-GB")


def _open(browser: Browser, *, locale: str, width: int = 1400) -> Iterator[Page]:
    context = browser.new_context(
        locale=locale, viewport={"width": width, "height": 900}
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    wrong: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        # A cut stream is reported by the browser itself; the page copes with it.
        cut = ("WebSocket", "ERR_CONNECTION", "ERR_EMPTY", "409")
        if message.type == "error" and not any(one in message.text for one in cut):
            wrong.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield page
    context.close()
    assert wrong == []


def tell(plant: str, path: str, **body: object) -> None:
    request = urllib.request.Request(
        plant + path, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=20).close()


def row(page: Page, name: str) -> Locator:
    return page.locator(f'tr[data-name="{name}"]')


def test_a_value_changes_on_the_screen(page: Page, plant: str) -> None:
    page.goto(f"{plant}/#place={PRESS}")
    value = row(page, f"{PRESS}/setpoint").locator("button.value")
    tell(plant, "/fake/say", name=f"{PRESS}/setpoint", value=42.5)
    expect(value).to_contain_text("42.500")
    tell(plant, "/fake/say", name=f"{PRESS}/setpoint", value=43.25)
    expect(value).to_contain_text("43.250")


def test_a_click_on_a_number_leads_to_its_history(page: Page, plant: str) -> None:
    page.goto(f"{plant}/#place={PRESS}")
    row(page, f"{PRESS}/temperature").locator("button.value").click()
    expect(page.locator(".legend")).to_contain_text(f"{PRESS}/temperature")
    expect(page.locator(".chart canvas")).to_be_visible()
    expect(page.locator(".legend .reading")).to_contain_text(re.compile(r"\d"))
    assert f"point={PRESS}/temperature" in page.url


def test_dragging_zooms_and_double_click_goes_back(page: Page, plant: str) -> None:
    page.goto(f"{plant}/#place={PRESS}&point={PRESS}/temperature")
    over = page.locator(".chart .u-over")
    over.wait_for()
    box = over.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 100, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, middle, steps=5)
    page.mouse.up()
    expect(page).to_have_url(re.compile("from=.*to="))
    over.dblclick()
    expect(page).not_to_have_url(re.compile("from="))


def test_a_cut_stream_is_said_and_resumed(page: Page, plant: str) -> None:
    page.goto(f"{plant}/#place={PRESS}")
    stream = page.locator(".stream")
    expect(stream).to_contain_text("Live")
    with contextlib.suppress(OSError, http.client.HTTPException):
        tell(plant, "/fake/crash")
    expect(stream).to_contain_text("Reconnecting")
    expect(row(page, f"{PRESS}/force").locator(".why")).to_contain_text("Stale")
    expect(stream).to_have_text(re.compile(r"^\s*Live\s*$"))
    with urllib.request.urlopen(f"{plant}/fake/resumed", timeout=20) as answer:
        assert json.load(answer), "the page came back without its token"


def test_bad_and_uncertain_values_say_why(page: Page, plant: str) -> None:
    robot = "acme/kyoto/packing/robot"
    page.goto(f"{plant}/#place={robot}")
    why = row(page, f"{robot}/force").locator(".why")
    expect(why).to_contain_text("Bad")
    expect(why).to_have_attribute("aria-label", re.compile("illegal data address"))
    expect(row(page, f"{robot}/temperature").locator(".why")).to_contain_text("Uncert")


def test_a_refused_write_shows_the_device_s_reason(page: Page, plant: str) -> None:
    page.goto(f"{plant}/#place={PRESS}")
    row(page, f"{PRESS}/setpoint").get_by_role("button", name="Write to").click()
    page.get_by_label("New value").fill("500")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("dialog").get_by_role("button", name="Write", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("refuses values above 100")


def test_thousands_of_points_are_few_rows(page: Page, plant: str) -> None:
    page.goto(f"{plant}/#place=acme/osaka/meters")
    expect(page.locator(".values .count")).to_contain_text("3,000")
    expect(row(page, "acme/osaka/meters/m0000/power")).to_be_visible()
    assert page.locator("tbody tr").count() < 60
    page.locator(".values .scroll").evaluate("box => box.scrollTop = box.scrollHeight")
    last = row(page, "acme/osaka/meters/m2999/power")
    expect(last.locator("button.value")).to_contain_text(re.compile(r"\d"))


def test_searching_finds_names_and_descriptions(page: Page, plant: str) -> None:
    page.goto(plant)
    page.get_by_role("searchbox").fill("oil temp")
    expect(page.locator(".values .count")).to_contain_text("3 points")
    expect(row(page, f"{PRESS}/temperature")).to_be_visible()


def test_the_tree_is_walked_with_the_keyboard(page: Page, plant: str) -> None:
    page.goto(plant)
    tree = page.get_by_role("tree")
    expect(tree.get_by_text("kyoto")).to_be_visible()
    tree.focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")
    expect(tree.get_by_text("packing")).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("place=acme/kyoto/packing"))


@pytest.mark.parametrize(
    ("locale", "word"),
    [("ja-JP", "現在値"), ("zh-CN", "实时值"), ("fr", "Live values")],
)
def test_a_first_visit_follows_the_browser(
    browser: Browser, plant: str, locale: str, word: str
) -> None:
    for page in _open(browser, locale=locale):
        page.goto(plant)
        expect(page.get_by_role("region", name=word).first).to_be_visible()


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(
    browser: Browser, plant: str, width: int, theme: str
) -> None:
    if not AXE.is_file():
        pytest.fail("axe-core is not installed: run `python hatch_build.py`")
    for page in _open(browser, locale="ja", width=width):
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        page.goto(f"{plant}/#place=acme/kyoto&point={PRESS}/temperature")
        expect(page.locator(".chart canvas")).to_be_visible()
        expect(page.locator(".why.bad")).to_be_visible()
        page.locator("button.health").click()
        page.locator(".events .bar").click()
        found = page.evaluate(AXE.read_text(encoding="utf-8") + ";axe.run()")
        serious = [
            (one["id"], [node["html"][:120] for node in one["nodes"]])
            for one in found["violations"]
            if one["impact"] in {"serious", "critical"}
        ]
        assert serious == []


def test_the_page_fits_a_phone(browser: Browser, plant: str) -> None:
    for page in _open(browser, locale="en", width=390):
        page.goto(f"{plant}/#place={PRESS}")
        expect(row(page, f"{PRESS}/temperature")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
