"""Who may say what on the embedded bus: each room has a user, and its subjects.

A room that is taken over can neither forge readings if it does not make any, nor empty
or change a stream that is not its own: whoever runs the plant makes the streams.
Machines on the MQTT side have an account of their own.
"""

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lineshaft.core.bus import AUDIT, EVENTS, READINGS
from lineshaft.core.bus.machines import Machine, users

PLANT = "plant"
"""The user of whoever runs the plant: the supervisor, and the command line."""
_STREAMS = (READINGS, EVENTS, AUDIT)
_EVERYBODY_SAYS = (
    "events.>",
    "audit.>",
    "status.>",
    "historian.>",
    "$SYS.REQ.ACCOUNT.PING.STATZ",
    "$JS.ACK.>",
    "$JS.FC.>",
    *(f"$JS.API.STREAM.INFO.{name}" for name in _STREAMS),
    *(f"$JS.API.CONSUMER.*.{name}" for name in _STREAMS),
    *(f"$JS.API.CONSUMER.*.{name}.>" for name in _STREAMS),
    "$JS.API.CONSUMER.MSG.NEXT.>",
    *(f"$JS.API.*.MSG.GET.{name}" for name in _STREAMS),
    *(f"$JS.API.DIRECT.GET.{name}" for name in _STREAMS),
    *(f"$JS.API.DIRECT.GET.{name}.>" for name in _STREAMS),
)  # fmt: skip
_EVERYBODY_HEARS = ("_INBOX.>", "status.>", "events.>", "readings.>")
_SAYS: Mapping[str, tuple[str, ...]] = {
    "collector": ("readings.>",),
    "computed": ("readings.>",),
    "historian": (f"$JS.API.STREAM.PURGE.{READINGS}",),
    "audit": (f"$JS.API.STREAM.PURGE.{AUDIT}",),
    "identity": (),
    "web": ("commands.>", "auditor.>"),
    "northbound": ("commands.>",),
}
_HEARS: Mapping[str, tuple[str, ...]] = {
    "collector": ("commands.>",),
    "historian": ("historian.>",),
    "audit": ("auditor.>",),
}


@dataclass(frozen=True, slots=True)
class Accounts:
    """The users of one run of the server, with passwords that nobody chose."""

    passwords: Mapping[str, str] = field(
        default_factory=lambda: {
            user: secrets.token_urlsafe() for user in (PLANT, *_SAYS, "device")
        }
    )

    def url(self, port: int, user: str = PLANT) -> str:
        """Return the address of the bus for a user: a room, or the plant."""
        return f"nats://{user}:{self.passwords[user]}@127.0.0.1:{port}"

    def configuration(self, machines: Sequence[Machine] = ()) -> Iterator[str]:
        """Yield the lines of the server's configuration."""
        yield "accounts {"
        yield "  PLANT { jetstream: enabled, users: ["
        yield f"    {{user: {PLANT}, password: {self._quoted(PLANT)}}}"
        for room in _SAYS:
            says = json.dumps([*_EVERYBODY_SAYS, *_SAYS[room]])
            hears = json.dumps(
                [*_EVERYBODY_HEARS, f"configuration.{room}", *_HEARS.get(room, ())]
            )
            yield (
                f"    {{user: {room}, password: {self._quoted(room)}, permissions: {{"
                f"publish: {{allow: {says}}}, subscribe: {{allow: {hears}}}, "
                'allow_responses: {max: 10000000, expires: "10m"}}}'
            )
        yield "  ] }"
        yield "  DEVICES { jetstream: enabled, users: ["
        yield f"    {{user: device, password: {self._quoted('device')}}}"
        yield from (f"    {user}" for user in users(machines))
        yield "  ] }"
        yield "}"

    def _quoted(self, user: str) -> str:
        return json.dumps(self.passwords[user])
