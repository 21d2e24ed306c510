"""The web server; only this file knows it."""

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.net import SocketHolder  # type: ignore[attr-defined]  # no types
from granian.server.embed import Server

from lineshaft.core.errors import ConfigError
from lineshaft.core.process.ports import taken

Farewell = Callable[[], Awaitable[None]]
STOP_WITHIN_S = 1.0
_BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Secure:
    """What HTTPS is served with; TLS 1.3 only."""

    certificate: Path
    key: Path
    name: str
    """A name that the certificate is for."""


class WebServer:
    """A service: `run` serves an ASGI application until it is cancelled.

    Whoever calls `url` from the moment that it exists is served, at the latest once
    `run` runs: the port is ours from the beginning, and no other program's.
    """

    def __init__(
        self,
        app: object,
        host: str,
        port: int,
        farewell: Farewell | None = None,
        secure: Secure | None = None,
    ) -> None:
        """Take the port; `ConfigError` says who has it if it is taken.

        `farewell` is awaited before the server stops: to end what would never end.
        """
        self._app = app
        self._secure = secure
        self._farewell = farewell
        self._socket = _listen(host, port)
        self.host = host
        self.port: int = self._socket.getsockname()[1]

    @property
    def url(self) -> str:
        """Return the address of the page."""
        host = self.host
        if self._secure and host in ("0.0.0.0", "::"):  # noqa: S104  it is compared
            host = self._secure.name
        name = f"[{host}]" if ":" in host else host
        return f"http{'s' if self._secure else ''}://{name}:{self.port}"

    async def run(self) -> None:
        """Serve for ever."""
        server = _Server(self._app, self._socket, self.port, self._secure)
        try:
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(server.serve(), name="granian")
                try:
                    await asyncio.wait({serving})
                finally:
                    if self._farewell is not None:
                        await self._farewell()
                    server.stop()  # type: ignore[no-untyped-call]  # it has no types
                    # Answers that are on their way may arrive.
                    await asyncio.wait({serving}, timeout=STOP_WITHIN_S)
                raise RuntimeError("the web server ended by itself")
        finally:
            self.close()

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()


class _Server(Server):
    """Granian in our own event loop, on our own socket.

    Its own socket would be shared with any other program of the same user that asks
    for it (SO_REUSEPORT), and would not tell which port it got for port 0.
    """

    def __init__(
        self, app: object, listener: socket.socket, port: int, secure: Secure | None
    ) -> None:
        super().__init__(
            app,
            port=port,
            ssl_cert=secure.certificate if secure else None,
            ssl_key=secure.key if secure else None,
            interface=Interfaces.ASGI,
            log_enabled=False,
            log_level=LogLevels.warning,
        )
        self._listener = listener

    def _init_shared_socket(self) -> None:  # type: ignore[explicit-override]  # 3.12
        # It closes what it is given, so it gets a duplicate.
        given = (os.dup(self._listener.fileno()), False, _BACKLOG)
        self._ssp = None
        self._shd = SocketHolder(*given)  # type: ignore[assignment,call-arg]  # its types are wrong


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003  the only way to say it
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(taken(port, "web.port")) from error
        raise ConfigError(
            f"the page cannot be served on {host} port {port} ({error.strerror}); "
            "choose another with web.host and web.port in lineshaft.toml"
        ) from error
    return listener
