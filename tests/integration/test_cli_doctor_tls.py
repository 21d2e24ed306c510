"""The doctor at the layer of TLS: each way in which it can fail is told apart."""

import asyncio
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from lineshaft.cli.verbs import execute
from lineshaft.network.drivers.mqtt.connection import (
    Broker,
    Message,
    open_connection,
    tls_context,
)
from support.authority import Authority, Files
from support.mqtt_peer import open_mosquitto
from support.opcua_peer import open_server

HOST = "127.0.0.1"


def walk(address: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    execute(["doctor", address, "--json"])
    told = capsys.readouterr()
    assert not told.err
    found: list[dict[str, str]] = json.loads(told.out)
    return found


@contextmanager
def serving(files: Files | None, client_authority: Path | None = None) -> Iterator[int]:
    """Shake hands with whoever comes, or say hello in plain words; yield the port."""
    context = None
    if files is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate, files.key)
        if client_authority is not None:
            context.load_verify_locations(client_authority)
            context.verify_mode = ssl.CERT_REQUIRED
    ending = threading.Event()

    def serve() -> None:
        while not ending.is_set():
            with suppress(OSError):
                came, _ = listener.accept()
                with came:
                    _greet(came, context)

    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(0.2)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ending.set()
            thread.join()


def _greet(came: socket.socket, context: ssl.SSLContext | None) -> None:
    came.settimeout(5)
    if context is None:
        came.sendall(b"220 hello\r\n")
        came.recv(100)
        return
    with context.wrap_socket(came, server_side=True) as safe:
        safe.recv(100)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_a_good_certificate_is_told_with_its_owner_and_its_end(
    authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(authority.issue("broker")) as port:
        found = walk(f"mqtts://{HOST}:{port}?ca_file={authority.file}", capsys)
    assert [each["check"] for each in found] == ["name", "TCP", "TLS", "session"]
    assert found[2]["state"] == "ok"
    assert "TLSv1.3" in found[2]["text"]
    assert "broker, signed by Test Authority, valid until 20" in found[2]["text"]
    assert found[3]["state"] == "fault", "it speaks no MQTT"


def test_a_certificate_that_ends_soon_is_a_warning(
    authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(authority.issue("broker", days=(-1, 12.5))) as port:
        found = walk(f"mqtts://{HOST}:{port}?ca_file={authority.file}", capsys)
    assert (found[2]["state"], found[2]["do"]) == (
        "warning",
        "renew the certificate: it ends in 12 days",
    )


@pytest.mark.parametrize(
    ("days", "said"),
    [((-9, -2), "of broker ended on 20"), ((2, 9), "is valid from 20.*; is the clock")],
)
def test_a_certificate_out_of_its_time_is_a_fault(
    days: tuple[float, float],
    said: str,
    authority: Authority,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving(authority.issue("broker", days=days)) as port:
        found = walk(f"mqtts://{HOST}:{port}?ca_file={authority.file}", capsys)
    assert (found[-1]["check"], found[-1]["state"]) == ("TLS", "fault")
    assert re.search(said, found[-1]["text"])


def test_a_certificate_of_nobody_we_trust_is_a_fault(
    authority: Authority, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Authority(tmp_path, "Another")
    with serving(authority.issue("broker")) as port:
        found = walk(f"mqtts://{HOST}:{port}?ca_file={other.file}", capsys)
    assert (found[-1]["check"], found[-1]["state"]) == ("TLS", "fault")
    assert "nobody we trust has signed" in found[-1]["text"]
    assert "?ca_file=" in found[-1]["text"]


def test_a_certificate_for_another_name_is_a_fault(
    authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(authority.issue("broker", hosts=("10.9.8.7",))) as port:
        found = walk(f"mqtts://{HOST}:{port}?ca_file={authority.file}", capsys)
    assert (found[-1]["check"], found[-1]["state"]) == ("TLS", "fault")
    assert "is not for this name" in found[-1]["text"]


def test_plain_words_where_tls_is_expected_are_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving(None) as port:
        found = walk(f"mqtts://{HOST}:{port}", capsys)
    assert (found[-1]["check"], found[-1]["state"]) == ("TLS", "fault")
    assert "speaks no TLS" in found[-1]["text"]


def test_a_server_that_wants_a_certificate_of_ours_is_told(
    authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(authority.issue("broker"), authority.file) as port:
        found = walk(f"mqtts://{HOST}:{port}?ca_file={authority.file}", capsys)
    assert (found[-1]["check"], found[-1]["state"]) == ("TLS", "fault")
    assert "wants a certificate of ours" in found[-1]["text"]


def test_a_file_without_certificates_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ca.pem").write_text("rubbish")
    with serving(None) as port:
        found = walk(f"mqtts://{HOST}:{port}?ca_file={tmp_path / 'ca.pem'}", capsys)
    assert "holds no certificates" in found[-1]["text"]


def test_an_address_says_nothing_that_is_not_understood(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert execute(["doctor", f"mqtt://{HOST}:1?ca_file=x"]) == 2
    assert "'ca_file' means nothing here" in capsys.readouterr().err


async def test_a_walk_through_tls_ends_in_a_value(
    authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_mosquitto(authority.issue("broker")) as broker:
        there = Broker(
            HOST, broker.port, "test", 5.0, tls=tls_context(str(authority.file), "", "")
        )
        async with open_connection(there, None) as connection:
            await connection.publish(Message("tank/level", b"3.5", 1, retain=True))
        address = f"mqtts://{HOST}:{broker.port}?ca_file={authority.file}"
        found = await asyncio.to_thread(walk, address, capsys)
    layers = [each["check"] for each in found]
    assert layers == ["name", "TCP", "TLS", "session", "browse", "read"]
    assert {each["state"] for each in found} == {"ok"}
    assert "3.5" in found[-1]["text"]


async def test_what_an_opcua_server_offers_is_told_before_a_session(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with open_server() as server:
        found = await asyncio.to_thread(walk, server.url, capsys)
    security = found[2]
    assert (security["check"], security["state"]) == ("security", "ok")
    assert "it offers no protection, " in security["text"]
    assert "Basic256Sha256 SignAndEncrypt" in security["text"]
    assert "certificate of " in security["text"]
    assert found[-1]["check"] == "read"
