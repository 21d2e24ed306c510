"""Machines on the built-in MQTT listener, each as whom its certificate names."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lineshaft.core.bus.server import Listeners, serve
from lineshaft.security.identity.authority import Authority, Wish, request_for
from lineshaft.security.identity.keys import (
    new_key,
    now,
    write_certificates,
    write_key,
)
from lineshaft.security.identity.register import open_register
from lineshaft.settings import load
from lineshaft.settings.secure import secure_mqtt
from support.peers import need

POLICY = """
[subjects.press-7]
tenant = "acme"
kind = "device"
[[grant]]
name = "press 7 tells of its cell"
who = ["press-7"]
on = ["acme/osaka/press/7/**"]
role = "device"
"""


@dataclass
class Works:
    """A server of the bus, and who has a certificate of the plant."""

    port: int
    authority: Authority
    home: Path

    def enrol(self, name: str, kind: str = "device") -> None:
        """Give somebody a certificate, as files."""
        key = new_key()
        made = self.authority.issue(request_for(name, key), Wish(name, kind))
        write_key(self.home / f"{name}.key", key)
        write_certificates(self.home / f"{name}.pem", made, self.authority.certificate)

    def login(self, name: str) -> list[str]:
        """Return the options of a mosquitto client."""
        roots = self.home / "data" / "authority" / "mqtt-roots.pem"
        files = {"--cafile": roots}
        if name:
            files |= {"--cert": self.home / f"{name}.pem"}
            files |= {"--key": self.home / f"{name}.key"}
        words = [str(word) for pair in files.items() for word in pair]
        return ["-h", "localhost", "-p", str(self.port), *words]

    async def say(self, name: str, topic: str) -> int:
        """Publish as somebody; return how the program ended."""
        program = need("mosquitto_pub", package="mosquitto-clients")
        words = [*self.login(name), "-t", topic, "-m", f"{name} {topic}", "-q", "0"]
        process = await asyncio.create_subprocess_exec(
            program, *words, stderr=asyncio.subprocess.DEVNULL
        )
        return await process.wait()


@asynccontextmanager
async def works(home: Path) -> AsyncIterator[Works]:
    (home / "lineshaft.toml").write_text('[plant]\nname = "Works"\n[bus]\nport = 0\n')
    policy = home / "data" / "policy"
    policy.mkdir(parents=True)
    plant = load(home / "lineshaft.toml", home / "data")
    (home / "policy.toml").write_text(POLICY)
    from lineshaft.settings.rights import accept_first

    assert accept_first(plant)
    secured = secure_mqtt(plant)
    with open_register(home / "data" / "authority") as register:
        authority = Authority(home / "data" / "authority", "Works", register)
        works = Works(0, authority, home)
        for name, kind in (("press-7", "device"), ("oven", "device"),
                           ("collector", "service")):  # fmt: skip
            works.enrol(name, kind)
        async with serve(
            home / "bus",
            Listeners(0, 0, secured=secured),
            most_bytes=1 << 30,
            on_restart=print,
        ) as here:
            works.port = here.mqtt_port or 0
            yield works


@asynccontextmanager
async def hearing(plant: Works, name: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Follow everything as somebody."""
    program = need("mosquitto_sub", package="mosquitto-clients")
    process = await asyncio.create_subprocess_exec(
        "stdbuf", "-oL", program, *plant.login(name), "-t", "#", "-v", "-d",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            while b"SUBACK" not in (line := await process.stdout.readline()):
                assert line, "it was not let in"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def heard(process: asyncio.subprocess.Process, last: str) -> list[str]:
    """Return the messages up to and including the last one."""
    found: list[str] = []
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while last not in found:
            line = (await process.stdout.readline()).decode().strip()
            if " " in line and line.split(" ", 1)[0] == line.rsplit(" ", 1)[1]:
                found.append(line.split(" ", 1)[1])
    return found


async def test_a_device_says_only_what_is_below_its_own_name_or_granted(
    tmp_path: Path,
) -> None:
    async with works(tmp_path) as plant, hearing(plant, "collector") as ear:
        for topic in ("oven/temperature", "press-70/speed", "acme/osaka/press/8/speed"):
            await plant.say("press-7", topic)
        await plant.say("collector", "collector/x")
        await plant.say("press-7", "acme/osaka/press/7/speed")
        await plant.say("press-7", "press-7/speed")
        await plant.say("oven", "oven/temperature")
        said = await heard(ear, "oven oven/temperature")
    assert said == [
        "press-7 acme/osaka/press/7/speed",
        "press-7 press-7/speed",
        "oven oven/temperature",
    ]


async def test_nobody_comes_in_without_a_certificate_or_with_one_of_others(
    tmp_path: Path,
) -> None:
    async with works(tmp_path) as plant:
        assert await plant.say("", "oven/x") != 0
        with open_register(tmp_path / "other") as register:
            other = Authority(tmp_path / "other", "Others", register)
            real, plant.authority = plant.authority, other
            plant.enrol("stranger")
            plant.authority = real
        assert await plant.say("stranger", "stranger/x") != 0
        assert await plant.say("oven", "oven/x") == 0


async def test_a_revoked_certificate_ends_the_connection_that_is_open(
    tmp_path: Path,
) -> None:
    async with works(tmp_path) as plant, hearing(plant, "collector") as ear:
        plant.authority.register.revoke("collector", "keyCompromise", now())
        assert ear.stdout is not None
        async with asyncio.timeout(60):
            while b"CONNECT" not in (line := await ear.stdout.readline()):
                if b"connection was lost" in line.lower() or not line:
                    break
        assert await plant.say("collector", "x") != 0
        # Enrolled anew it is let in, and the revoked one still is not.
        old = (tmp_path / "collector.pem").read_bytes()
        old_key = (tmp_path / "collector.key").read_bytes()
        (tmp_path / "collector.key").unlink()
        plant.enrol("collector", "service")
        async with asyncio.timeout(60):
            while await plant.say("collector", "x") != 0:  # noqa: ASYNC110  outside us
                await asyncio.sleep(0.5)
        (tmp_path / "collector.pem").write_bytes(old)
        (tmp_path / "collector.key").write_bytes(old_key)
        assert await plant.say("collector", "x") != 0


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1"])
def test_another_host_than_loopback_needs_certificates(
    tmp_path: Path, host: str
) -> None:
    from lineshaft.core.errors import ConfigError

    file = tmp_path / "lineshaft.toml"
    file.write_text(f'[bus]\nmqtt_port = 1883\nmqtt_host = "{host}"\n')
    with pytest.raises(ConfigError, match="needs mqtt_tls = true"):
        load(file, tmp_path / "data")
