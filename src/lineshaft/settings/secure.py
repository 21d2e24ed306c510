"""What the settings mean for TLS: whose certificate is shown, and whose is taken."""

import asyncio

from lineshaft.core.bus.machines import Machine, Secured, device, listener
from lineshaft.core.errors import ConfigError, Unreachable
from lineshaft.security.access.document import Document
from lineshaft.security.access.enforced import now_us
from lineshaft.security.access.policy import Policy
from lineshaft.security.access.roles import Action
from lineshaft.security.identity.authority import CERTIFICATE
from lineshaft.security.identity.keys import (
    now,
    read_certificates,
    write_certificates,
)
from lineshaft.security.identity.register import open_register
from lineshaft.security.identity.service import is_due_file, node_files
from lineshaft.settings import Plant
from lineshaft.settings.policy import accepted
from lineshaft.settings.rights import open_authority
from lineshaft.web.server import Secure

LOOK_S = 600.0


def secure_web(plant: Plant) -> Secure:
    """Return what the page is served with; our own certificate is made if need be."""
    web, names = plant.settings.web, plant.settings.identity.names
    if web.certificate is not None and web.key is not None:
        files = plant.file.parent / web.certificate, plant.file.parent / web.key
        for file in files:
            if not file.is_file():
                raise ConfigError(
                    f"there is no file {file}; name the right one in web.certificate "
                    "and web.key"
                )
        read_certificates(files[0])
        return Secure(*files, names[0])
    with open_authority(plant) as authority:
        home = plant.data / "authority"
        return Secure(*node_files(home, authority, plant.settings.identity), names[0])


def secure_mqtt(plant: Plant) -> Secured:
    """Return how machines come in over MQTT: each as whom its certificate names."""
    home, identity = plant.data / "authority", plant.settings.identity
    roots = home / "mqtt-roots.pem"
    with open_authority(plant) as authority:
        files = node_files(home, authority, identity)
        write_certificates(roots, authority.certificate, *authority.trusted)
    return Secured(plant.settings.bus.mqtt_host, *files, roots, Machines(plant))


class Machines:
    """Who may come in over MQTT now: every certificate that counts. It is asked often.

    What is derived from the policy is kept until there is another one.
    """

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._policy = Policy(Document())

    def __call__(self) -> list[Machine]:
        """Return them; our own certificate is renewed if it is time."""
        plant, home = self._plant, self._plant.data / "authority"
        _, document = accepted(plant.file, plant.data)
        if document is not self._policy.document:
            self._policy = Policy(document)
        if is_due_file(home / "node.pem"):
            with open_authority(plant) as authority:
                node_files(home, authority, plant.settings.identity)
        with open_register(home) as register:
            valid = register.valid(now())
        return [machine for each in valid if (machine := self._machine(*each))]

    def _machine(self, serial: str, name: str, kind: str) -> Machine | None:
        certificate = f"{CERTIFICATE}{serial}"
        if kind in ("device", "gateway"):
            return device(certificate, name, self._places(name))
        return listener(certificate) if kind in ("service", "node") else None

    def _places(self, name: str) -> list[str]:
        """Return the places that the policy lets a machine say something of."""
        holders, moment_us = set(self._policy.holders_of(name)), now_us()
        patterns = [
            pattern
            for grant in self._policy.document.grant
            if holders & set(grant.who) and Action.PUBLISH in grant.actions
            for pattern in grant.on
        ]
        # A wildcard inside a pattern has no equal in the rights of the bus.
        plain = {each.removesuffix("/**").removesuffix("/*") for each in patterns}
        asked = ((place, f"{place}/point") for place in plain if "*" not in place)
        # What is denied, or does not count now, is not granted either.
        return sorted(
            place
            for place, point in asked
            if self._policy.decide(name, Action.PUBLISH, point, moment_us).is_allowed
        )


class CertificateWatch:
    """A service: `run` ends the room when its own certificate is due.

    The room is started again at once, with a new one; pages connect again.
    """

    def __init__(self, plant: Plant) -> None:
        self._plant = plant

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            own = self._plant.settings.web.certificate is None
            if own and is_due_file(self._plant.data / "authority" / "node.pem"):
                raise Unreachable("the certificate of the page is renewed")
