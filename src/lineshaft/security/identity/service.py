"""The identity room: the listener for enrolment, our own certificate, and a watch."""

import asyncio
import ssl
import time
from datetime import datetime, timedelta
from fcntl import LOCK_EX, flock
from pathlib import Path

import msgspec

from lineshaft.core.bus import Asks
from lineshaft.core.errors.codes import Code
from lineshaft.core.health import EVERY_S, Health, State
from lineshaft.core.health.meaning import gauge
from lineshaft.security.identity import register as registers
from lineshaft.security.identity.authority import Authority, Wish, request_for
from lineshaft.security.identity.est import Enrolment
from lineshaft.security.identity.keys import (
    new_key,
    now,
    read_certificates,
    write_certificates,
    write_key,
)
from lineshaft.security.identity.listener import Listener
from lineshaft.security.identity.settings import Settings
from lineshaft.security.identity.tls import server_context

LOOK_S = 60.0
RENEW_AT = 2 / 3
"""Of its life; what is left is time to mend what goes wrong."""
_MEANINGS = {
    "certificates": gauge("identity_certificates", "Certificates that count."),
    "ending": gauge(
        "identity_ending", "Certificates that end soon and were not renewed."
    ),
    "revoked": gauge("identity_revoked", "Certificates that were revoked."),
}


class IdentityRoom:
    """A service: `run` works until it is cancelled."""

    def __init__(
        self, home: Path, authority: Authority, enrolment: Enrolment, bus: Asks,
        settings: Settings,
    ) -> None:  # fmt: skip
        self._home, self._authority, self._bus = home, authority, bus
        self._settings = settings
        self._listener = Listener(enrolment.answer)
        self._since_us = time.time_ns() // 1000
        self._url = ""

    async def run(self) -> None:
        """Listen and watch for ever."""
        files = node_files(self._home, self._authority, self._settings)
        ours = self._authority
        context = server_context(files, [ours.certificate, *ours.trusted])
        port, host = self._settings.port or 0, self._settings.host
        server = await self._listener.listen(host, port, context)
        self._url = f"https://{host}:{server.sockets[0].getsockname()[1]}"
        async with server, asyncio.TaskGroup() as group:
            group.create_task(self._tell())
            group.create_task(self._renew(context))
            await server.serve_forever()

    async def _renew(self, context: ssl.SSLContext) -> None:
        """Renew our own certificate in time; connections from then on see it."""
        while True:
            await asyncio.sleep(LOOK_S)
            files = node_files(self._home, self._authority, self._settings)
            context.load_cert_chain(*files)

    async def _tell(self) -> None:
        while True:
            self._bus.tell("status.identity", msgspec.json.encode(self._health()))
            await asyncio.sleep(EVERY_S)

    def _health(self) -> Health:
        moment = now()
        newest: dict[tuple[str, str], registers.Issued] = {}
        for issued in self._authority.register.all():
            newest.setdefault((issued.kind, issued.name), issued)
        valid = [one for one in newest.values() if one.state is registers.State.VALID]
        soon = moment + timedelta(days=self._settings.warn_days)
        ending = [one for one in valid if one.ends < soon and is_due(one, moment)]
        reason = ""
        if ending:
            first = min(ending, key=lambda one: one.ends)
            reason = (
                f"{len(ending)} certificates end soon and were not renewed; the first "
                f"is that of {first.name}, on {first.ends:%Y-%m-%d}"
            )
        return Health(
            service="identity",
            state=State.DEGRADED if reason else State.OK,
            reason=reason,
            code=Code.CERTIFICATE_ENDS if reason else "",
            since_us=self._since_us,
            figures={
                "certificates": len([one for one in valid if one.ends > moment]),
                "ending": len(ending),
                "revoked": len(newest) - len(valid),
                "url": self._url,
            },
            meanings=_MEANINGS,
        )


def is_due(issued: registers.Issued, moment: datetime) -> bool:
    """Whether a certificate should have been renewed by now."""
    return issued.begins + (issued.ends - issued.begins) * RENEW_AT < moment


def is_due_file(file: Path) -> bool:
    """Whether the first certificate in a file should be renewed by now."""
    mine = read_certificates(file)[0]
    life = mine.not_valid_after_utc - mine.not_valid_before_utc
    return now() >= mine.not_valid_before_utc + life * RENEW_AT


def node_files(
    home: Path, authority: Authority, settings: Settings
) -> tuple[Path, Path]:
    """Return our own certificates and key; made or renewed if it is time.

    They are renewed after two thirds of their life, or when the names have changed.
    Several rooms may look after them: one at a time does.
    """
    with (home / "node.lock").open("a") as lock:
        flock(lock, LOCK_EX)
        return _node_files(home, authority, settings)


def _node_files(
    home: Path, authority: Authority, settings: Settings
) -> tuple[Path, Path]:
    chain, key_file = home / "node.pem", home / "node.key"
    if chain.exists() and key_file.exists():
        known = home / "node.names"
        names = known.read_text("utf-8") if known.exists() else ""
        if not is_due_file(chain) and names == " ".join(settings.names):
            return chain, key_file
    key = new_key()
    wish = Wish("node", "node", settings.names, settings.service_days)
    made = authority.issue(request_for("node", key), wish)
    new = home / "node.key.new"
    new.unlink(missing_ok=True)
    write_key(new, key)
    new.replace(key_file)
    write_certificates(chain, made, authority.certificate)
    (home / "node.names").write_text(" ".join(settings.names), "utf-8")
    return chain, key_file
