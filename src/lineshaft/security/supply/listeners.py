"""Every port that Lineshaft can open (IEC 62443-3-3, SR 7.7): there are no others.

Whoever adds a server adds it here; a system test compares the list with the sockets of
a plant that runs.
"""

from collections.abc import Collection, Iterable, Mapping
from ipaddress import ip_address

import msgspec


class Listener(msgspec.Struct, frozen=True, kw_only=True):
    """A port that is opened if its setting says so."""

    name: str
    protocol: str
    setting: str
    """The key in lineshaft.toml that says which port."""
    process: str
    """Words in the command of the process that opens it."""
    port: int
    """The default; 0 takes any free one."""
    reach: str = "loopback"
    opened: str = "always"
    """When it is opened."""


class Socket(msgspec.Struct, frozen=True):
    """A socket that waits for others."""

    command: str
    """Of the process that has it."""
    transport: str
    """`tcp` or `udp`."""
    host: str
    port: int


LISTENERS = (
    Listener(
        name="page, API and live stream",
        protocol="HTTP, WebSocket; TLS 1.3 if web.tls",
        setting="web.port",
        process="run web",
        port=8080,
        reach="as web.host says; beyond loopback by TLS only",
    ),
    Listener(
        name="message bus",
        protocol="NATS",
        setting="bus.port",
        process="nats-server",
        port=4222,
        opened="unless bus.url names a cluster",
    ),
    Listener(
        name="built-in MQTT",
        protocol="MQTT 3.1.1",
        setting="bus.mqtt_port",
        process="nats-server",
        port=0,
        opened="if bus.mqtt_port is set",
    ),
    Listener(
        name="identities: enrolment, status, what was revoked",
        protocol="EST, OCSP over TLS 1.3",
        setting="identity.port",
        process="run identity",
        port=0,
        reach="as identity.host says",
        opened="if identity.port is set",
    ),
    Listener(
        name="OPC UA server",
        protocol="OPC UA TCP",
        setting="northbound.opcua.port",
        process="run northbound",
        port=4841,
        opened="if there is [northbound.opcua]",
    ),
    Listener(
        name="demonstration: press line",
        protocol="OPC UA TCP",
        setting="demo.press-line",
        process="drivers.opcua.simulator",
        port=4840,
        opened="by lineshaft demo",
    ),
    Listener(
        name="demonstration: meters",
        protocol="Modbus TCP",
        setting="demo.meters",
        process="drivers.modbus.simulator",
        port=5020,
        opened="by lineshaft demo",
    ),
)


def undeclared(
    found: Iterable[Socket],
    ports: Mapping[str, int],
    beyond: Collection[str] = (),
) -> list[str]:
    """Return a sentence for each socket that is not on the list, or reaches too far.

    `ports` has the settings of the listeners that this plant opens, with their ports; 0
    stands for any free one; `beyond` names those that it opens beyond loopback. A
    listener counts for one socket.
    """
    free = {each.setting: each for each in LISTENERS if each.setting in ports}
    wrong = []
    ordered = sorted(set(found), key=lambda each: (each.command, each.port))
    # Those whose ports are known are found first: the rest may be any.
    ordered.sort(key=lambda each: each.port not in ports.values())
    for socket in ordered:
        where = f"{socket.transport} {socket.host}:{socket.port}"
        listener = next((e for e in free.values() if _is(e, socket, ports)), None)
        if listener is None:
            wrong.append(f"{where} of {socket.command!r} is not declared")
            continue
        del free[listener.setting]
        within = ip_address(socket.host).is_loopback
        if not within and listener.setting not in beyond:
            wrong.append(f"{where} of {socket.command!r} is declared for loopback only")
    return wrong


def _is(listener: Listener, socket: Socket, ports: Mapping[str, int]) -> bool:
    theirs = listener.process in socket.command and socket.transport == "tcp"
    return theirs and ports[listener.setting] in (0, socket.port)
