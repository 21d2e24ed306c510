"""The demonstration plant as a newcomer meets it, in a real browser and by hand."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from support.browser import chromium
from support.plant import RunningPlant, started, wait_for

MACHINES = ("demo/osaka/energy", "demo/osaka/forge", "demo/osaka/water")
POWER = "demo/osaka/energy/meter1/active_power"
PATIENCE_MS = 60_000
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("demo")]


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlant]:
    data = tmp_path_factory.mktemp("demo") / "data"
    with started(["demo"], data) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def lineshaft(plant: RunningPlant, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lineshaft", *arguments, "--data", str(plant.data)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def good(plant: RunningPlant, place: str) -> int:
    readings: list[dict[str, str]] = plant.get("/readings", pattern=f"{place}/**")
    return [reading["quality"] for reading in readings].count("good")


def until_alive(plant: RunningPlant, machine: str) -> None:
    plant.until(lambda: good(plant, machine) > 10, f"{machine} is read")


def test_at_least_sixty_points_of_three_machines_are_alive(plant: RunningPlant) -> None:
    assert plant.get("/points")["total"] >= 60
    for machine in MACHINES:
        until_alive(plant, machine)
    health = plant.get("/health")
    assert health["demo"] is True
    assert "DEMO" in health["plant"]


def test_machines_are_servers_in_processes_of_their_own(plant: RunningPlant) -> None:
    machines = [f"drivers.{name}.simulator" for name in ("opcua", "modbus", "mqtt")]
    rooms = [f"lineshaft run {name}" for name in ("collector", "historian", "web")]
    # One that could not start is started again, so there is a moment without it.
    plant.until(
        lambda: all(len(plant.running(words)) == 1 for words in machines + rooms),
        "one process each",
    )


def test_the_page_shows_a_value_change_and_its_trend(
    plant: RunningPlant, browser: Browser, tmp_path: Path
) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 900}, locale="en-GB")
    expect.set_options(timeout=PATIENCE_MS)
    page.goto(plant.url)
    expect(page.get_by_text("DEMO", exact=True)).to_be_visible()
    row = page.get_by_role("row").filter(has_text="active_power").first
    expect(row).to_contain_text(re.compile(r"\d"))
    before = row.get_by_role("button").first.inner_text()
    expect(row.get_by_role("button").first).not_to_have_text(before)
    row.get_by_role("button").first.click()
    expect(page.locator("canvas").first).to_be_visible()
    assert POWER.rpartition("/")[2] in page.url or "active_power" in page.url
    page.screenshot(path=str(tmp_path / "page.png"))
    page.close()


def test_a_week_of_history_is_there_with_its_gaps(plant: RunningPlant) -> None:
    def days_full() -> bool:
        past = plant.get("/history", name=POWER, **{"from": "-8d", "every": "1h"})
        counts = past["series"][0]["count"]
        return len([count for count in counts if count]) > 6 * 24

    plant.until(days_full, "a week of history")
    past = plant.get("/history", name=POWER, **{"from": "-6d", "every": "10m"})
    [series] = past["series"]
    assert any(share is not None and share < 1 for share in series["good"]), "a gap"
    assert min(filter(None, series["min"])) > 0


def test_read_and_history_have_their_fixed_shapes(plant: RunningPlant) -> None:
    done = lineshaft(plant, "read", "demo/*/energy/**", "--json")
    readings = json.loads(done.stdout)
    assert len(readings) == 48 + 2, "meters, and what is computed of them"
    for reading in readings:
        assert list(reading) == ["name", "value", "quality", "time", "unit"]
    plant.until(lambda: good(plant, "demo/osaka/energy") > 10, "the meters are read")
    done = lineshaft(plant, "history", POWER, "--from", "-5m", "--json")
    rows = json.loads(done.stdout)
    assert rows
    assert list(rows[0]) == ["time", "value", "quality"]
    done = lineshaft(
        plant, "history", POWER, "--from", "-5m", "--every", "10s", "--json"
    )
    assert {"time", "min", "max", "mean", "count"} <= set(json.loads(done.stdout)[0])


@pytest.mark.parametrize("form", ["csv", "json", "parquet", "arrow"])
def test_history_leaves_in_every_format(
    plant: RunningPlant, tmp_path: Path, form: str
) -> None:
    plant.until(lambda: good(plant, "demo/osaka/energy") > 10, "the meters are read")
    out = tmp_path / f"readings.{form}"
    pattern = "demo/osaka/energy/meter1/*"
    options = ["--from", "-1m", "--format", form, "--out", str(out)]
    done = lineshaft(plant, "history", pattern, *options)
    assert done.returncode == 0, done.stderr
    assert out.stat().st_size > 500


def test_a_write_is_confirmed_or_refused_with_the_machine_s_reason(
    plant: RunningPlant,
) -> None:
    tariff = "demo/osaka/energy/meter1/tariff"
    plant.until(lambda: plant.value(tariff)["quality"] == "good", "the meter is read")
    done = lineshaft(plant, "write", tariff, "3")
    assert (done.returncode, done.stdout) == (0, f"{tariff}: confirmed\n")
    plant.until(lambda: plant.value(tariff)["value"] == 3, "the new value is read")
    done = lineshaft(plant, "write", tariff, "9")
    assert done.returncode == 1
    assert "illegal data value" in done.stderr
    kinds = [event["kind"] for event in plant.get("/events", kind="command.*")]
    assert kinds[:2] == ["command.refused", "command.confirmed"]


def test_the_plant_is_found_again_after_a_stop_and_goes_without_a_trace(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    with started(["demo"], data) as plant:
        plant.until(lambda: good(plant, MACHINES[0]) > 10, "the meters are read")
        first = plant.value(POWER)["time"]
    with started(["demo"], data) as plant:
        begin = datetime.fromisoformat(first) - timedelta(seconds=1)
        span = {"from": begin.astimezone(UTC).isoformat(), "to": "now"}

        def found() -> list[str]:
            times: list[str] = plant.get("/history", name=POWER, **span)["series"][0][
                "time"
            ]
            return times

        plant.until(lambda: first in found(), "what was read before the stop")
    remove = [
        sys.executable,
        "-m",
        "lineshaft",
        "demo",
        "--remove",
        "--data",
        str(data),
    ]
    subprocess.run(remove, check=True, capture_output=True)
    assert not (data / "demo").exists()
    assert not (data / "running.json").exists()


def test_a_room_that_is_killed_comes_back_and_nothing_is_lost(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with started(["demo"], data) as plant:
        plant.until(lambda: good(plant, MACHINES[0]) > 10, "the meters are read")
        begin = plant.value(POWER)["time"]
        for room in ("historian", "collector", "web"):
            [process] = plant.running(f"lineshaft run {room}")
            process.kill()
        wait_for(lambda: is_well(plant), "the plant is well again")
        later = plant.value(POWER)["time"]
        span = {"from": begin, "to": "now"}

        def times() -> list[str]:
            found: list[str] = plant.get("/history", name=POWER, **span)["series"][0][
                "time"
            ]
            return found

        plant.until(lambda: later in times(), "the new readings")
        found = times()
        assert len(found) == len(set(found)), "none is doubled"
        assert begin in times(), "none is lost"


def is_well(plant: RunningPlant) -> bool:
    try:
        health = plant.get("/health")
        return bool(health["status"] == "ok" and good(plant, MACHINES[0]) > 10)
    except OSError:
        return False  # the web room itself is on its way back
