"""A plant that runs opens the ports that are declared, and no others."""

from collections.abc import Iterable
from pathlib import Path
from socket import AF_INET, SOCK_STREAM, socket

import psutil
import pytest

from lineshaft.security.supply.listeners import Socket, undeclared
from support.plant import started

PORTS = {"web.port": 0, "bus.port": 0, "bus.mqtt_port": 0}
DEMO = {"demo.press-line": 0, "demo.meters": 0}
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("demo")]


def waiting(processes: Iterable[psutil.Process]) -> list[Socket]:
    """Return the sockets of processes that wait for others."""
    found = []
    for process in processes:
        try:
            command = " ".join(process.cmdline())
            sockets = process.net_connections("inet")
        except psutil.Error:
            continue  # it has just ended
        for each in sockets:
            is_udp = each.type != SOCK_STREAM and not each.raddr
            if each.status == psutil.CONN_LISTEN or is_udp:
                kind = "udp" if is_udp else "tcp"
                found.append(Socket(command, kind, each.laddr.ip, each.laddr.port))
    return found


def test_a_plant_opens_only_what_is_declared(tmp_path: Path) -> None:
    ports = {**PORTS, **DEMO}
    with started(["demo"], tmp_path / "data") as plant:
        plant.until(lambda: len(waiting(plant.children())) >= 4, "its servers listen")
        found = waiting([psutil.Process(plant.process.pid), *plant.children()])
        assert undeclared(found, ports) == []
        # The comparison sees our own sockets, so it sees one that nobody declared.
        with socket(AF_INET) as stranger:
            stranger.bind(("127.0.0.1", 0))
            stranger.listen()
            ours = waiting([psutil.Process()])
            port = str(stranger.getsockname()[1])
            assert [each for each in undeclared([*found, *ours], ports) if port in each]
