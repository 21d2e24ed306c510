"""The web server; only this file knows it."""

import asyncio
import socket

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.embed import Server

from lineshaft.core.errors import ConfigError
from lineshaft.core.process.ports import is_free, taken

STOP_WITHIN_S = 5.0


class WebServer:
    """A service: `run` serves an ASGI application until it is cancelled."""

    def __init__(self, app: object, host: str, port: int) -> None:
        """Choose the port; `ConfigError` says who has it if it is taken."""
        if port and not is_free(port, host):
            raise ConfigError(taken(port, "web.port"))
        self.host = host
        self.port = port or _free_port(host)
        self._app = app

    @property
    def url(self) -> str:
        """Return the address of the page."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{name}:{self.port}"

    async def run(self) -> None:
        """Serve for ever."""
        server = Server(
            self._app,
            address=self.host,
            port=self.port,
            interface=Interfaces.ASGI,
            log_enabled=False,
            log_level=LogLevels.warning,
        )
        serving = asyncio.ensure_future(server.serve())
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            server.stop()  # type: ignore[no-untyped-call]  # it has no types
            await asyncio.wait({serving}, timeout=STOP_WITHIN_S)
            raise


def _free_port(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
