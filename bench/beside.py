"""Ours beside the ThingsBoard IoT gateway: the same machines, one after the other.

Not among what `make bench` runs by itself, since it installs that product: from the
package index, into a directory of its own that is removed at the end. Ask for it:
`make bench ONLY=beside`. Two node-opcua servers change 5,000 variables five times a
second. Ours delivers frames to JetStream, confirmed and on disk, with quality and
unit; the other one JSON to a mosquitto with QoS 1, subscriptions on, storage in
memory, rate limits off, as its documentation advises for throughput. A small platform
made here answers the one question without which it sends nothing.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import opcua
from lineshaft.core.bus.server import Listeners, serve
from lineshaft.core.process.tasks import beside
from lineshaft.network.drivers.mqtt.connection import (
    Broker,
    Connection,
    Message,
    open_connection,
)
from support.mqtt_peer import open_mosquitto
from support.opcua_peer import NodeServer, open_server

Row = dict[str, object]
OPTIONAL = True
"""Only run when it is named."""
VERSION, ASYNCUA = "3.8.5", "1.1.5"
PRODUCT = f"ThingsBoard gateway {VERSION}"
SECONDS = opcua.SECONDS
READY_WITHIN_S, SETTLES_S = 180.0, 5.0
LIMITS = {
    "messages": "0:0,",
    "telemetryMessages": "0:0,",
    "telemetryDataPoints": "0:0,",
}
ACCESS = """\
user gateway
topic write #
topic read v1/devices/me/rpc/response/+
topic read v1/devices/me/attributes
topic read v1/devices/me/attributes/response/+
topic read v1/gateway/attributes
topic read v1/gateway/attributes/response
topic read v1/gateway/rpc
user platform
topic readwrite #
"""


class Platform:
    """Answers the gateway and keeps what it sends."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.telemetry: list[bytes] = []

    async def run(self) -> None:
        """Listen for ever."""
        topics = ["v1/gateway/telemetry", "v1/devices/me/rpc/request/+"]
        await self._connection.subscribe(topics, qos=1)
        while True:
            for topic, data in await self._connection.messages(within_s=60.0):
                if topic == "v1/gateway/telemetry":
                    self.telemetry.append(data)
                elif b"getSessionLimits" in data:
                    number = topic.rpartition("/")[2]
                    limits = {"rateLimits": LIMITS, "gatewayRateLimits": LIMITS}
                    size = {"maxPayloadSize": 1 << 20, "maxInflightMessages": 1000}
                    answer = json.dumps(limits | size).encode()
                    there = f"v1/devices/me/rpc/response/{number}"
                    await self._connection.publish(Message(there, answer, 1))

    def values(self) -> tuple[int, set[str]]:
        """Return how many values came, and the names among them."""
        count, names = 0, set()
        for data in self.telemetry:
            for said in json.loads(data).values():
                for each in said:
                    count += len(each["values"])
                    names |= each["values"].keys()
        return count, names


def install(home: Path) -> Path:
    """Install the product into `home`; return its Python."""
    place = home / "product"
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    python = place / "bin" / "python"
    wanted = [f"thingsboard-gateway=={VERSION}", f"asyncua=={ASYNCUA}"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
    return python


def configure(home: Path, servers: Sequence[NodeServer], port: int) -> Path:
    """Write the files of the gateway; return their folder."""
    folder = home / "config"
    folder.mkdir()
    connectors = []
    for number, server in enumerate(servers):
        first = number * opcua.SHARE
        name = f"press{number}"
        connectors.append(
            {"type": "opcua", "name": name, "configuration": f"{name}.json"}
        )
        (folder / f"{name}.json").write_text(json.dumps(_connector(server, first)))
    limits = dict.fromkeys(
        [
            "rateLimits",
            "dpRateLimits",
            "messagesRateLimits",
            "deviceMessagesRateLimits",
            "deviceRateLimits",
            "deviceDpRateLimits",
        ],
        "0:0,",
    )
    gateway = {
        "thingsboard": {
            "host": "127.0.0.1",
            "port": port,
            "remoteShell": False,
            "remoteConfiguration": False,
            "statistics": {"enable": False},
            "maxPayloadSizeBytes": 1 << 20,
            "minPackSendDelayMS": 50,
            "minPackSizeToSend": 500,
            "security": {"type": "accessToken", "accessToken": "gateway"},
            "qos": 1,
            "reportStrategy": {"type": "ON_RECEIVED"},
            **limits,
        },
        "storage": {
            "type": "memory",
            "read_records_count": 1000,
            "max_records_count": 1_000_000,
        },
        "grpc": {"enabled": False},
        "connectors": connectors,
    }
    (folder / "tb_gateway.json").write_text(json.dumps(gateway))
    logs = {
        "version": 1,
        "disable_existing_loggers": True,
        "handlers": {},
        "loggers": {},
        "root": {"level": "ERROR", "handlers": []},
    }
    (folder / "logs.json").write_text(json.dumps(logs))
    return folder


def _connector(server: NodeServer, first: int) -> dict[str, object]:
    series = [
        {"key": f"v{first + n}", "type": "identifier", "value": f"${{ns=2;s=V{n}}}"}
        for n in range(opcua.SHARE)
    ]
    device = {
        "deviceNodeSource": "path",
        "deviceNodePattern": r"Root\.Objects\.Peer",
        "deviceInfo": {
            "deviceNameExpression": f"press{first}",
            "deviceNameExpressionSource": "constant",
            "deviceProfileExpression": "default",
            "deviceProfileExpressionSource": "constant",
        },
        "attributes": [],
        "timeseries": series,
        "rpc_methods": [],
        "attributes_updates": [],
    }
    server_settings = {
        "url": server.url,
        "timeoutInMillis": 30_000,
        "scanPeriodInMillis": 3_600_000,
        "pollPeriodInMillis": 5_000,
        "enableSubscriptions": True,
        "subCheckPeriodInMillis": 100,
        "subDataMaxBatchSize": 1000,
        "subDataMinBatchCreationTimeMs": 200,
        "subscriptionProcessBatchSize": 2000,
        "sessionTimeoutInMillis": 120_000,
        "showMap": False,
        "security": "None",
        "identity": {"type": "anonymous"},
    }
    return {"server": server_settings, "mapping": [device]}


@asynccontextmanager
async def gateway(python: Path, config: Path) -> AsyncIterator[psutil.Process]:
    """Run the product."""
    logs = config.parent / "logs"
    logs.mkdir()
    child = await asyncio.create_subprocess_exec(
        python,
        "-c",
        "from thingsboard_gateway.tb_gateway import main; main()",
        cwd=config.parent,
        env={
            **os.environ,
            "TB_GW_CONFIG_DIR": f"{config}/",
            "TB_GW_LOGS_PATH": str(logs),
        },
        stdout=(config.parent / "said.log").open("wb"),
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield psutil.Process(child.pid)
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def theirs(servers: Sequence[NodeServer], home: Path) -> dict[str, float]:
    """Return the figures of the other product."""
    python = await asyncio.to_thread(install, home)
    (home / "access").write_text(ACCESS)
    text = f"acl_file {home / 'access'}\nuser root\nmax_queued_messages 0\n"
    async with open_mosquitto(more=text) as broker:
        there = Broker("127.0.0.1", broker.port, "platform", 30.0, user="platform")
        config = configure(home, servers, broker.port)
        async with open_connection(there, None) as connection:
            platform = Platform(connection)
            async with beside(platform.run()), gateway(python, config) as process:
                await _first_values(platform, home / "said.log")
                platform.telemetry.clear()
                before_s = opcua.cpu_s(process)
                changed = await _changes(servers)
                at_end, _ = platform.values()
                await asyncio.sleep(SETTLES_S)
                used_s, memory = opcua.cpu_s(process) - before_s, process.memory_info()
                values, _ = platform.values()
    return {
        "rate": at_end / SECONDS,
        "arrived": 100 * values / changed,
        "cpu_us": used_s * 1e6 / max(1, values),
        "rss_mb": memory.rss / 1e6,
    }


async def _first_values(platform: Platform, said: Path) -> None:
    limit = time.monotonic() + READY_WITHIN_S
    while len(platform.values()[1]) < opcua.VARIABLES:
        if time.monotonic() > limit:
            came = len(platform.values()[1])
            heard = await asyncio.to_thread(said.read_text, errors="replace")
            raise TimeoutError(f"{PRODUCT} told {came} variables: {heard[-2000:]}")
        await asyncio.sleep(1)


async def _changes(servers: Sequence[NodeServer]) -> int:
    """Let everything change for a while; return how many changes there were."""
    await asyncio.gather(*(each.tell("begin") for each in servers))
    await asyncio.sleep(SECONDS)
    ends = await asyncio.gather(*(each.tell("end") for each in servers))
    return sum(int(end["changed"]) for end in ends if isinstance(end, dict))


async def _run() -> tuple[dict[str, float], dict[str, float]]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        options = {"count": opcua.SHARE, "hz": opcua.HZ}
        async with open_server(**options) as one, open_server(**options) as other:
            other_figures = await theirs((one, other), home)
        async with (
            open_server(**options) as one,
            open_server(**options) as other,
            serve(
                home / "bus",
                Listeners(0),
                most_bytes=opcua.MOST_BYTES + (1 << 30),
                on_restart=print,
            ) as bus,
        ):
            got = await opcua.measure((one, other), bus.url, home)
    ours = {name: float(str(value)) for name, value in got.items()}
    ours["rate"] = ours["offered"] * ours["arrived"] / 100
    return ours, other_figures


def rows() -> list[Row]:
    """Return what `make bench ONLY=beside` collects."""
    ours, theirs_ = asyncio.run(_run())
    units = {"rate": "1/s", "arrived": "%", "cpu_us": "us/reading", "rss_mb": "MB"}
    words = {
        "rate": "changes that arrived",
        "arrived": "share of what was offered",
        "cpu_us": "processor time a change",
        "rss_mb": "memory",
    }
    return [
        {"name": f"{words[key]}, {who}", "value": told[key], "unit": unit, "ok": True}
        for key, unit in units.items()
        for who, told in (("ours", ours), (PRODUCT, theirs_))
    ]


if __name__ == "__main__":
    print(json.dumps(rows(), indent=1))
