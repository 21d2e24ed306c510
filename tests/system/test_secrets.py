"""Whatever a plant says and writes, its passwords are not in it."""

import asyncio
import base64
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus
from urllib.request import urlopen

import pytest

from support.mqtt_peer import open_mosquitto
from support.opcua_peer import NAMESPACE, open_server
from support.plant import RunningPlant, started
from system.test_computed import until

OPCUA, MQTT, BROKER = "opc-Gehe1m/+ü", "mqtt-Gehe1m/+ü", "north-Gehe1m/+ü"
NOBODY = "allow_anonymous false\n"
SECRETS = (OPCUA, MQTT, BROKER)
VERBS = (
    ["health", "--json"],
    ["check"],
    ["doctor"],
    ["explain", "LS-2102"],
    ["read", "acme/**", "--json"],
    ["reload"],
)


def shapes(secret: str) -> Iterator[bytes]:
    """Yield a secret in each way in which it may be written."""
    plain = secret.encode()
    for text in (secret, quote(secret), quote(secret, safe=""), quote_plus(secret)):
        yield text.encode()
    yield repr(secret)[1:-1].encode()
    yield secret.encode("unicode_escape")
    yield plain.hex().encode()
    # The middle of base64 is the same wherever it begins, but for three shifts.
    for shift in range(3):
        yield base64.b64encode(b"x" * shift + plain)[4:-4]


def write(folder: Path, url: str, port: int) -> Path:
    for name, secret in (("opcua", OPCUA), ("mqtt", MQTT), ("north", BROKER)):
        (folder / name).write_text(f"{secret}\n")
    (folder / "opcua.csv").write_text(
        f"name,address,type\nacme/osaka/a,nsu={NAMESPACE};s=V0,float\n"
    )
    (folder / "mqtt.csv").write_text(
        "name,address,type\nacme/osaka/b,tank/level,float\n"
    )
    file = folder / "lineshaft.toml"
    file.write_text(
        "[bus]\nport = 0\n[northbound.mqtt]\n"
        f'url = "mqtt://127.0.0.1:{port}"\nuser = "eva"\npassword_file = "north"\n'
        '[devices.opcua]\ndriver = "opcua"\npoints = "opcua.csv"\n'
        f'url = "{url}"\nuser = "eva"\npassword = "file:opcua"\n'
        "allow_plain_password = true\ntimeout_s = 2.0\n"
        '[devices.mqtt]\ndriver = "mqtt"\npoints = "mqtt.csv"\nhost = "127.0.0.1"\n'
        f'port = {port}\nuser = "eva"\npassword = "file:mqtt"\ntimeout_s = 2.0\n'
    )
    return file


def everything_said(plant: RunningPlant, config: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each place where a secret could be, and what stands there."""
    for path in ("health", "events", "points", "readings?pattern=**", "openapi.json"):
        with urlopen(f"{plant.url}/api/v1/{path}", timeout=60) as answer:
            yield path, answer.read()
    with urlopen(f"{plant.url}/metrics", timeout=60) as answer:
        yield "metrics", answer.read()
    for verb in VERBS:
        done = subprocess.run(
            [sys.executable, "-m", "lineshaft", *verb, *_where(verb, plant, config)],
            capture_output=True,
            check=False,
            timeout=120,
        )
        yield " ".join(verb), done.stdout + done.stderr
    for process in plant.children():
        yield "command line", " ".join(process.cmdline()).encode()


def _where(verb: list[str], plant: RunningPlant, config: Path) -> list[str]:
    if verb[0] == "explain":
        return []
    both = ["--data", str(plant.data)]
    return [*both, "--config", str(config)] if verb[0] in ("check", "doctor") else both


def found_in(said: Iterator[tuple[str, bytes]]) -> list[str]:
    forms = [(each, shape) for each in SECRETS for shape in shapes(each)]
    return [
        f"{place}: {secret}"
        for place, text in said
        for secret, shape in forms
        if shape in text
    ]


def files_below(folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in folder.rglob("*"):
        if file.is_file():
            yield str(file), file.read_bytes()


def test_each_shape_of_a_secret_would_be_found() -> None:
    for each in SECRETS:
        encoded = base64.b64encode(b'{"password": "' + each.encode() + b'"}')
        for text in (f"x{each}x", repr({"p": each}), quote_plus(f" {each} ")):
            assert found_in(iter([("here", text.encode())])), text
        assert found_in(iter([("here", encoded)])), encoded


@pytest.mark.timeout(300)
async def test_no_password_is_told_or_written_while_everything_refuses(
    tmp_path: Path,
) -> None:
    """The OPC UA server has no such user, the broker lets nobody in."""
    home = tmp_path / "configuration"
    home.mkdir()
    async with open_server(count=1) as server, open_mosquitto(more=NOBODY) as broker:
        config = write(home, server.url, broker.port)
        with started(["up", "--config", str(config)], tmp_path / "data") as plant:

            def all_refuse() -> bool:
                told = {e["service"]: e for e in plant.get("/health")["services"]}
                names = ("collector.opcua", "collector.mqtt", "northbound.mqtt")
                reasons = [str(told.get(name, {}).get("reason", "")) for name in names]
                return all(reasons) and "accept the user" in reasons[0]

            await until(plant, all_refuse)
            said = await asyncio.to_thread(list, everything_said(plant, config))
    assert found_in(iter(said)) == []
    assert found_in(files_below(tmp_path / "data")) == []
    assert found_in(iter([("log", (tmp_path / "data.log").read_bytes())])) == []
