"""What security costs: publishing, TLS, logins, and the audit log.

    python bench/security.py

`rows()` returns what `make bench` collects: `{name, value, unit, bar, ok}`. What is
compared with plain is measured in turns, in the same run.
"""

import asyncio
import shutil
import socket
import ssl
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import access
from lineshaft.core.bus.nats import NatsBus, open_bus
from lineshaft.core.bus.server import Listeners, serve
from lineshaft.security.audit import merkle
from lineshaft.security.audit.log import open_log
from lineshaft.security.audit.tiles import WIDTH, Tiles, rows_above, tile_path
from lineshaft.security.audit.verifying import verify
from lineshaft.security.identity.authority import Authority, Wish, request_for
from lineshaft.security.identity.keys import new_key, write_certificates, write_key
from lineshaft.security.identity.register import open_register
from lineshaft.security.identity.service import node_files
from lineshaft.security.identity.settings import Settings
from lineshaft.security.identity.tls import client_context, server_context
from lineshaft.security.people import passwords

Row = dict[str, object]
MESSAGES, ROUNDS = 2_000, 5
ENTRIES, GROUP = 100_000, 1_024
LARGE = 10_000_000
CONNECTIONS = 200


def rows() -> list[Row]:
    """Measure everything."""
    return [*access.rows(), *_audit(), *_login(), *_tls(), *asyncio.run(_publishing())]


def _row(name: str, value: float, unit: str, bar: float, *, most: bool = True) -> Row:
    is_met = value <= bar if most else value >= bar
    return {"name": name, "value": value, "unit": unit, "bar": bar, "ok": is_met}


@contextmanager
def _folder() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp())
    try:
        yield home
    finally:
        shutil.rmtree(home)


def _audit() -> Iterator[Row]:
    entries = [b'{"kind":"login.password","who":"anna %d"}' % n for n in range(ENTRIES)]
    with _folder() as home:
        with open_log(home, "bench.example/audit") as reopen:
            log = reopen()
            began = time.perf_counter()
            for at in range(0, ENTRIES, GROUP):
                log.append(entries[at : at + GROUP])
            took_s = time.perf_counter() - began
        yield _row(
            f"audit: durable appends, in groups of {GROUP}",
            ENTRIES / took_s, "entries/s", 20_000, most=False,
        )  # fmt: skip
        began = time.perf_counter()
        assert verify(home).holds
        took_s = time.perf_counter() - began
        yield {"name": "audit: verified", "value": ENTRIES / took_s,
               "unit": "entries/s", "bar": None, "ok": True}  # fmt: skip
    with _folder() as home:
        _grow(home)
        yield from _proofs(home)


def _grow(home: Path) -> None:
    """Write the hashes of a log of ten million entries."""
    level = [sha256(b"\0%d" % number).digest() for number in range(LARGE)]
    number = 0
    while level:
        above = []
        for index in range(-(-len(level) // WIDTH)):
            tile = level[index * WIDTH : (index + 1) * WIDTH]
            file = home / tile_path(number, index, len(tile))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"".join(tile))
            if len(tile) == WIDTH:
                above.append(rows_above(tile)[-1][0])
        level, number = above, number + 1


def _proofs(home: Path) -> Iterator[Row]:
    root = merkle.root(Tiles(home, LARGE), LARGE)
    took = []
    for number in range(0, LARGE, LARGE // 1_000):
        began = time.perf_counter()
        path = merkle.inclusion(Tiles(home, LARGE), number, LARGE)
        took.append((time.perf_counter() - began) * 1e3)
        leaf = merkle.leaf_hash(b"%d" % number)
        assert merkle.root_by_inclusion(leaf, number, LARGE, path) == root
    name = f"audit: proof among {LARGE:,} entries"
    yield _row(f"{name}, median", statistics.median(took), "ms", 1.0)
    p99 = sorted(took)[len(took) * 99 // 100]
    yield {"name": f"{name}, p99", "value": p99, "unit": "ms", "bar": None, "ok": True}


def _login() -> Iterator[Row]:
    kept = passwords.hashed("a brass valve sings at dusk")
    took = [_timed(lambda: passwords.is_right(kept, "wrong")) for _ in range(10)]
    yield _row("login: a password is compared", statistics.median(took), "ms", 400.0)
    nobody = [_timed(lambda: passwords.is_right(None, "wrong")) for _ in range(10)]
    ratio = statistics.median(nobody) / statistics.median(took)
    yield {"name": "login: unknown against known name", "value": ratio,
           "unit": "times as long", "bar": None, "ok": True}  # fmt: skip


def _tls() -> Iterator[Row]:
    with _folder() as home, open_register(home) as register:
        ours = Authority(home, "bench", register)
        files = node_files(home, ours, Settings())
        server = server_context(files, [ours.certificate, *ours.trusted])
        server.verify_mode = ssl.CERT_REQUIRED
        key = new_key()
        made = ours.issue(request_for("press", key), Wish("press", "device"))
        write_key(home / "m.key", key)
        write_certificates(home / "m.pem", made, ours.certificate)
        client = client_context(ours.trusted, (home / "m.pem", home / "m.key"))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            answering = threading.Thread(target=_serve, args=(listener, server))
            answering.start()
            took = [_timed(_connect(listener, client)) for _ in range(CONNECTIONS)]
            answering.join()
    name = "tls: a connection with a device certificate"
    yield _row(f"{name}, median", statistics.median(took), "ms", 10.0)


def _serve(listener: socket.socket, context: ssl.SSLContext) -> None:
    for _ in range(CONNECTIONS):
        connection, _ = listener.accept()
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.sendall(secure.recv(1))


def _connect(listener: socket.socket, context: ssl.SSLContext) -> Callable[[], object]:
    def connect() -> None:
        with (
            socket.create_connection(listener.getsockname()) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            secure.sendall(b"x")
            assert secure.recv(1) == b"x"

    return connect


async def _publishing() -> list[Row]:
    """Compare a room with its own subjects against a user who may everything."""
    rates: dict[str, list[float]] = {"plant": [], "collector": []}
    with _folder() as home:
        async with serve(
            home, Listeners(0), most_bytes=1 << 30, on_restart=print
        ) as here:
            for turn in range(ROUNDS):
                for user, rate in rates.items():
                    address, room = here.url_of(user), 1 << 26
                    async with open_bus(
                        address, most_bytes=room, event_bytes=room
                    ) as bus:
                        rate.append(await _rate(bus, f"{user}{turn}"))
    plain, secure = (statistics.median(rates[user]) for user in ("plant", "collector"))
    lost = 100 * (1 - secure / plain)
    name = "publishing with the rights of a room against all rights: slower by"
    return [_row(name, lost, "%", 15.0)]


async def _rate(bus: NatsBus, run: str) -> float:
    """Return how many messages a second are confirmed, a hundred at a time."""
    began = time.perf_counter()
    for at in range(0, MESSAGES, 100):
        numbers = range(at, at + 100)
        sent = (bus.publish("readings.a", b"x" * 500, f"{run}:{n}") for n in numbers)
        await asyncio.gather(*sent)
    return MESSAGES / (time.perf_counter() - began)


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1e3


if __name__ == "__main__":
    for each in rows():
        print(each)
