"""How an output tells its health."""

import asyncio
import time
from collections.abc import Callable

import msgspec

from lineshaft.core.bus import Asks
from lineshaft.core.health import EVERY_S, Health, State
from lineshaft.core.health.meaning import Meaning, counter, gauge
from lineshaft.network.northbound.mirror import Mirror

Figures = dict[str, float | int | str]
_MEANINGS: dict[str, Meaning] = {
    "values": counter("northbound_values", "Readings that were taken in."),
    "values_per_s": gauge("northbound_rate", "Readings a second that come in."),
    "lag_s": gauge("northbound_lag", "Age of the newest when passed on.", "seconds"),
    "clients": gauge("northbound_clients", "Connections of OPC UA clients."),
    "sent": counter("northbound_sent", "Values that were sent to subscribers."),
    "published": counter("northbound_published", "Messages to the broker."),
    "waiting": gauge("northbound_waiting", "Points with news for the broker."),
    "births": counter("northbound_births", "Births of our edge node and its devices."),
    "rebirths": counter("northbound_rebirths", "Wishes for a rebirth that were met."),
    "devices_born": gauge("northbound_devices_born", "Devices that hosts see alive."),
    "written": counter("northbound_written", "Writes of hosts that were confirmed."),
    "refused": counter("northbound_refused", "Wishes of hosts that were not met."),
    "stored": gauge("northbound_stored", "Readings that wait on disk for a host."),
    "dropped": counter("northbound_dropped", "Readings that had to go unsaid."),
}


async def tell_health(
    bus: Asks,
    output: str,
    mirror: Mirror,
    figures: Callable[[], Figures],
    trouble: Callable[[], str] = str,
) -> None:
    """Tell how an output is, for ever; `trouble` is empty while all is well."""
    since, said, before, then = _now_us(), "", mirror.values, time.monotonic()
    while True:
        reason, now = trouble(), time.monotonic()
        if reason != said:
            since, said = _now_us(), reason
        rate = (mirror.values - before) / max(now - then, 0.001)
        before, then = mirror.values, now
        health = Health(
            service=f"northbound.{output}",
            state=State.DEGRADED if reason else State.OK,
            reason=reason,
            since_us=since,
            figures={
                "values": mirror.values,
                "values_per_s": round(rate, 1),
                "lag_s": round(mirror.lag_s, 3),
                **figures(),
            },
            meanings=_MEANINGS,
        )
        bus.tell(f"status.northbound.{output}", msgspec.json.encode(health))
        await asyncio.sleep(EVERY_S)


def _now_us() -> int:
    return time.time_ns() // 1000
