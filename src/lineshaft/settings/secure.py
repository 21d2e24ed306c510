"""What the settings mean for HTTPS: which certificate, and when it is another one."""

import asyncio

from lineshaft.core.errors import ConfigError, Unreachable
from lineshaft.security.identity.keys import read_certificates
from lineshaft.security.identity.service import is_due_file, node_files
from lineshaft.settings import Plant
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
                raise ConfigError(f"web: there is no file {file}")
        read_certificates(files[0])
        return Secure(*files, names[0])
    with open_authority(plant) as authority:
        home = plant.data / "authority"
        return Secure(*node_files(home, authority, plant.settings.identity), names[0])


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
