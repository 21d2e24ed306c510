"""An MQTT broker and a Sparkplug edge node, each a process of its own.

    python tests/support/mqtt_peer.py PORT

is the edge node. It takes lines of JSON on standard input, `["set", name, value]` or
`["get", name]`, and answers each with the value on a line of its own.
"""

import asyncio
import json
import socket
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import Value
from lineshaft.network.drivers.mqtt.connection import (
    Broker,
    Connection,
    Message,
    open_connection,
)
from lineshaft.network.drivers.mqtt.sparkplug.payload import (
    DataType,
    Metric,
    Payload,
    encode,
    value_of,
)

if TYPE_CHECKING:  # the edge node runs as a script, which sees nothing beside it
    from support.authority import Files

HOST = "127.0.0.1"
START_WITHIN_S = 30.0
PREFIX = "spBv1.0/contract"
METRICS: dict[str, tuple[Kind, DataType, Value]] = {
    "level": (Kind.FLOAT, DataType.DOUBLE, 0.25),
    "count": (Kind.INT, DataType.INT32, 3),
    "open": (Kind.BOOL, DataType.BOOLEAN, False),
    "mode": (Kind.STRING, DataType.STRING, "idle"),
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """A mosquitto on loopback, which keeps its port when it is started again."""

    def __init__(self, program: str, folder: Path, more: str) -> None:
        self.port = free_port()
        self._program = program
        self._file = folder / "mosquitto.conf"
        if "allow_anonymous" not in more:
            more += "allow_anonymous true\n"
        self._file.write_text(f"listener {self.port} {HOST}\n{more}")
        self._process: Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            self._program, "-c", str(self._file), stdout=DEVNULL, stderr=DEVNULL
        )
        async with asyncio.timeout(START_WITHIN_S):
            while True:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection(HOST, self.port)
                    writer.close()
                    await writer.wait_closed()
                    return
                await asyncio.sleep(0.05)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def stop(self) -> None:
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def open_mosquitto(
    files: "Files | None" = None, more: str = ""
) -> AsyncIterator[Mosquitto]:
    """Run a broker; with `files` it speaks TLS, `more` are lines of its settings."""
    from support.peers import need

    program = need("mosquitto", package="mosquitto")
    with tempfile.TemporaryDirectory() as folder:
        if files is not None:
            more += f"certfile {files.certificate}\nkeyfile {files.key}\nuser root\n"
        broker = Mosquitto(program, Path(folder), more)
        await broker.start()
        try:
            yield broker
        finally:
            await broker.stop()


class MqttPeer:
    """A `Peer` for the contract test."""

    def __init__(self, broker: Mosquitto, responder: Process) -> None:
        self._broker = broker
        self._responder = responder
        self.settings: dict[str, object] = {
            "host": HOST,
            "port": broker.port,
            "timeout_s": 2.0,
        }
        self.points = [
            Point(
                name=f"acme/{name}",
                address=f"{PREFIX}/edge/tank:{name}",
                type=kind,
                writable=True,
            )
            for name, (kind, _, _) in METRICS.items()
        ]
        self.absent: Point | None = Point(
            name="acme/absent", address=f"{PREFIX}/edge/tank:absent"
        )

    async def set(self, point: int, value: Value) -> None:
        await self._tell(["set", list(METRICS)[point], value])

    async def get(self, point: int) -> Value:
        return await self._tell(["get", list(METRICS)[point]])

    async def stop(self) -> None:
        await self._broker.stop()

    async def start(self) -> None:
        await self._broker.start()

    async def _tell(self, words: list[Value]) -> Value:
        to, back = self._responder.stdin, self._responder.stdout
        assert to is not None
        assert back is not None
        to.write(json.dumps(words).encode() + b"\n")
        async with asyncio.timeout(START_WITHIN_S):
            return cast("Value", json.loads(await back.readline()))


@asynccontextmanager
async def open_peer() -> AsyncIterator[MqttPeer]:
    """Run a broker and an edge node for the contract test of drivers."""
    async with open_mosquitto() as broker:
        responder = await asyncio.create_subprocess_exec(
            sys.executable, __file__, str(broker.port), stdin=PIPE, stdout=PIPE
        )
        try:
            peer = MqttPeer(broker, responder)
            await peer.get(0)  # it runs
            yield peer
        finally:
            if responder.stdin:
                responder.stdin.close()
            await responder.wait()


class Responder:
    """The edge node; it tells each change at once."""

    def __init__(self) -> None:
        self.values = {name: value for name, (_, _, value) in METRICS.items()}
        self.connection: Connection | None = None
        self._seq = 0

    async def run(self, port: int) -> None:
        while True:
            will = Payload(timestamp=_now_ms())
            _put(will, "bdSeq", DataType.INT64, 0)
            death = Message(
                f"{PREFIX}/NDEATH/edge", will.SerializeToString(), qos=1, retain=False
            )
            with suppress(Unreachable, Refused):
                broker = Broker(HOST, port, "contract-edge", 2.0)
                async with open_connection(broker, death) as connection:
                    await connection.subscribe(
                        [f"{PREFIX}/NCMD/edge", f"{PREFIX}/DCMD/edge/+"]
                    )
                    self.connection = connection
                    self._bear()
                    while True:
                        for topic, data in await connection.messages(5):
                            self._obey(topic, data)
            self.connection = None
            await asyncio.sleep(0.2)

    def set(self, name: str, value: Value) -> None:
        self.values[name] = value
        message = self._message()
        _put(message, name, METRICS[name][1], value)
        self._send("DDATA/edge/tank", message)

    def _obey(self, topic: str, data: bytes) -> None:
        kind = topic.split("/")[2]
        for metric in Payload.FromString(data).metrics:
            if kind == "NCMD" and metric.name == "Node Control/Rebirth":
                self._bear()
            elif kind == "DCMD" and metric.name in METRICS:
                value, _ = value_of(metric, METRICS[metric.name][1])
                if value is not None:
                    self.set(metric.name, value)

    def _bear(self) -> None:
        self._seq = -1
        node = self._message()
        _put(node, "bdSeq", DataType.INT64, 0)
        _put(node, "Node Control/Rebirth", DataType.BOOLEAN, value=False)
        self._send("NBIRTH/edge", node)
        tank = self._message()
        for name, (_, datatype, _) in METRICS.items():
            _put(tank, name, datatype, self.values[name])
        self._send("DBIRTH/edge/tank", tank)

    def _message(self) -> Payload:
        self._seq = (self._seq + 1) % 256
        return Payload(timestamp=_now_ms(), seq=self._seq)

    def _send(self, where: str, message: Payload) -> None:
        if self.connection:
            self.connection.send(f"{PREFIX}/{where}", message.SerializeToString())


def _put(message: Payload, name: str, datatype: DataType, value: Value) -> Metric:
    metric = message.metrics.add(name=name, timestamp=_now_ms())
    encode(metric, datatype, value)
    return metric


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _listen_to_input(responder: Responder) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        verb, name, *value = json.loads(line)
        if verb == "set":
            responder.set(name, *value)
        sys.stdout.write(json.dumps(responder.values[name]) + "\n")
        sys.stdout.flush()


async def _main() -> None:
    responder = Responder()
    running = asyncio.ensure_future(responder.run(int(sys.argv[1])))
    await _listen_to_input(responder)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


if __name__ == "__main__":
    asyncio.run(_main())
