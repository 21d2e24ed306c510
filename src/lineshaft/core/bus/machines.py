"""Machines on the MQTT side: each is a user of its own, known by its certificate.

A device says only what is below its own name, as the first level of the topic, and what
the policy grants it; whoever serves the plant hears everything and says nothing. A
certificate that counts no more is no user any more, and its connection ends.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    """A certificate that counts, and what its owner may."""

    certificate: str
    """The URI by which the certificate names itself."""
    says: tuple[str, ...]
    hears: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Secured:
    """What the MQTT listener is served with, and who may come."""

    host: str
    certificate: Path
    key: Path
    roots: Path
    """Whoever shows a certificate of these is let in, if it is among `machines`."""
    machines: Callable[[], Sequence[Machine]]


_OF_MQTT = ("$MQTT.sub.>", "$MQTT.deliver.pubrel.>")
"""What the server itself needs of a client's rights for QoS 1 and 2."""


def topic_below(name: str) -> tuple[str, str]:
    """Return the subjects of a topic and all topics below it.

    NATS has dots where MQTT has slashes, and two slashes where MQTT has a dot.
    """
    subject = ".".join(part.replace(".", "//") for part in name.split("/"))
    return subject, f"{subject}.>"


def device(certificate: str, name: str, places: Sequence[str]) -> Machine:
    """Return a device: it says what is below its name, and below `places`."""
    below = [subject for each in (name, *places) for subject in topic_below(each)]
    own_node = [f"spBv1//0.*.*.{topic_below(name)[0]}{end}" for end in ("", ".>")]
    says = (*below, *own_node, "$MQTT.deliver.pubrel.>")
    return Machine(certificate, says, (*below, *own_node, *_OF_MQTT))


def listener(certificate: str) -> Machine:
    """Return whoever takes in what machines say, and says nothing."""
    return Machine(certificate, ("$MQTT.deliver.pubrel.>",), (">",))


def users(machines: Sequence[Machine]) -> Iterator[str]:
    """Yield the users of the server's configuration."""
    for machine in machines:
        says, hears = json.dumps(machine.says), json.dumps(machine.hears)
        yield (
            f"{{user: {json.dumps(machine.certificate)}, permissions: {{publish: "
            f"{{allow: {says}}}, subscribe: {{allow: {hears}}}}}}}"
        )


def listener_lines(port: int, secured: Secured | None) -> Iterator[str]:
    """Yield the lines about the MQTT listener."""
    yield "mqtt {"
    if secured is None:
        yield f"  listen: 127.0.0.1:{port or -1}"
        yield "  no_auth_user: device"
    else:
        yield f"  listen: {json.dumps(f'{secured.host}:{port or -1}')}"
        yield f"  tls {{ cert_file: {json.dumps(str(secured.certificate))}"
        yield f"    key_file: {json.dumps(str(secured.key))}"
        yield f"    ca_file: {json.dumps(str(secured.roots))}"
        yield '    verify_and_map: true, min_version: "1.3", timeout: 10 }'
    yield "}"
