"""Whatever bytes come from outside, every decoder raises only our own errors.

`DECODERS` has one entry for each function that takes apart what others wrote. A test
compares it with the source, so that a new one cannot be forgotten.
"""

import ast
import functools
import json
import re
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from lineshaft.cli.importing import read_rows
from lineshaft.cli.machines.address import parse as parse_target
from lineshaft.cli.plant import find
from lineshaft.core.bus.audit import AuditRecord, decode_audit
from lineshaft.core.command import Command, Outcome
from lineshaft.core.errors import LineshaftError
from lineshaft.core.event import Event, decode_event, encode_event
from lineshaft.core.frame import decode_frame, encode_frame
from lineshaft.core.health import Health
from lineshaft.core.message import read_json, read_msgpack
from lineshaft.core.name import compile_pattern
from lineshaft.core.point import Kind, Point
from lineshaft.network.device import Batch
from lineshaft.network.drivers.modbus.address import Order
from lineshaft.network.drivers.modbus.address import parse_address as modbus_address
from lineshaft.network.drivers.modbus.codec import Layout, order_of
from lineshaft.network.drivers.modbus.rtu.frames import find_answer, question
from lineshaft.network.drivers.mqtt.address import Place, Plain
from lineshaft.network.drivers.mqtt.address import parse_address as mqtt_address
from lineshaft.network.drivers.mqtt.path import parse_path
from lineshaft.network.drivers.mqtt.plain import Reader
from lineshaft.network.drivers.mqtt.sparkplug import payload
from lineshaft.network.drivers.mqtt.sparkplug.host import parse_topic
from lineshaft.network.drivers.mqtt.survey import _plain
from lineshaft.network.drivers.opcua.address import parse_address as opcua_address
from lineshaft.network.drivers.opcua.address import parse_target as parse_target_node
from lineshaft.network.drivers.opcua.address import parse_where
from lineshaft.network.drivers.opcua.asking.calling import _entries
from lineshaft.network.drivers.opcua.wire import messages as opcua
from lineshaft.network.shaping import Shaper
from lineshaft.platform.historian.asking import (
    Raw,
    unpack_buckets,
    unpack_names,
    unpack_series,
)
from lineshaft.security.access.versions import Versions
from lineshaft.security.audit.tiles import unpack
from lineshaft.security.data.keys.envelope import unseal
from lineshaft.security.people.passkeys import Passkeys
from lineshaft.security.people.settings import SingleSignOn
from lineshaft.security.people.single_sign_on import SignOn, _Provider
from lineshaft.security.people.store import Store
from lineshaft.security.supply.gobuild import read_build
from lineshaft.security.supply.minisign import parse_public_key
from lineshaft.settings import load
from lineshaft.settings.points import read_points
from lineshaft.settings.policy import parse_policy
from lineshaft.settings.running import bus_of
from lineshaft.settings.toml import parse_toml, read_toml
from lineshaft.web.api.past.times import parse_duration, parse_span, parse_time
from lineshaft.web.live.talk import Wish
from support.frames import frame

SOURCE = Path(__file__).parents[2] / "src" / "lineshaft"
Decoder = Callable[[bytes], object]


def text_of(decode: Callable[[str], object]) -> Decoder:
    return lambda data: decode(data.decode("utf-8", errors="replace"))


def in_a_file(name: str, read: Callable[[Path], object]) -> Decoder:
    """Read the bytes from a file of that name."""

    def decode(data: bytes) -> object:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / name
            file.write_bytes(data)
            return read(file)

    return decode


def mqtt_plain(data: bytes) -> object:
    places = [Place("t", None), Place("t", ("a", 0))]
    points = {
        number: (Plain(place, place), Point(name="a/b", address="t", type=kind))
        for number, (place, kind) in enumerate(
            (place, kind) for place in places for kind in Kind
        )
    }
    reader = Reader(points, ("t",))
    reader.hear("t", data, 1)
    Shaper([point for _, point in points.values()]).shape(reader.batch, 1)
    return reader.batch


def sparkplug(data: bytes) -> object:
    message = payload.decode(data)
    return [
        (payload.kind_of(each.datatype), payload.value_of(each, each.datatype))
        for each in message.metrics
    ]


def modbus_layout(data: bytes) -> object:
    """Decode a block; the connection lets pass only as many bytes as it has."""
    texts = ("float64", "string[5]", "int16", "uint16.3")
    addresses = [
        modbus_address(f"holding:{place}:{t}") for place, t in enumerate(texts)
    ]
    layout = Layout([(a.offset, a, order_of(a, Order.ABCD)) for a in addresses])
    return layout.decode(data[:8].ljust(8, b"\0"))


OPCUA = "network/drivers/opcua/wire/messages.py"
_PROVIDER = SingleSignOn(issuer="https://id.example", client_id="plant")
_ENDS = _Provider("https://id.example", "a", "b", "c")


@functools.cache
def _accounts() -> Store:
    return Store(
        sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    )


DECODERS: dict[str, Decoder] = {
    "cli/importing.py:read_rows": in_a_file("h.csv", lambda file: read_rows(file, [])),
    "cli/machines/address.py:parse": text_of(parse_target),
    "cli/plant.py:find": in_a_file("running.json", lambda file: find(file.parent)),
    "core/bus/audit.py:decode_audit": decode_audit,
    "core/event.py:decode_event": decode_event,
    "core/frame.py:decode_frame": decode_frame,
    "core/message.py:read_json": lambda data: [
        read_json(data, kind, "it") for kind in (Command, Outcome, Health, Wish, Event)
    ],
    "core/message.py:read_msgpack": lambda data: read_msgpack(data, Raw, "it"),
    "core/name.py:compile_pattern": text_of(compile_pattern),
    "network/drivers/modbus/address.py:parse_address": text_of(modbus_address),
    "network/drivers/modbus/codec.py:decode": modbus_layout,
    "network/drivers/modbus/rtu/frames.py:find_answer": lambda data: find_answer(
        data, question(data[0] if data else 1, bytes([3, 0, 0, 0, 1]))
    ),
    "network/drivers/mqtt/address.py:parse_address": text_of(mqtt_address),
    "network/drivers/mqtt/path.py:parse_path": text_of(parse_path),
    "network/drivers/mqtt/plain.py:_document": mqtt_plain,
    "network/drivers/mqtt/sparkplug/host.py:parse_topic": text_of(parse_topic),
    "network/drivers/mqtt/sparkplug/payload.py:decode": sparkplug,
    "network/drivers/mqtt/survey.py:_plain": lambda data: list(_plain("t", data)),
    "network/drivers/opcua/address.py:parse_address": text_of(opcua_address),
    "network/drivers/opcua/address.py:parse_target": text_of(parse_target_node),
    "network/drivers/opcua/address.py:parse_where": text_of(parse_where),
    "network/drivers/opcua/asking/calling.py:_entries": text_of(
        lambda text: _entries(text, [])
    ),
    f"{OPCUA}:decode_changes": lambda data: opcua.decode_changes(data, 0, len(data), 1),
    f"{OPCUA}:decode_events": lambda data: opcua.decode_events(data, 0, len(data)),
    f"{OPCUA}:decode_message": opcua.decode_message,
    f"{OPCUA}:decode_published": opcua.decode_published,
    f"{OPCUA}:decode_status_change": lambda data: opcua.decode_status_change(data, 0),
    f"{OPCUA}:decode_values": lambda data: opcua.decode_values(data, 1),
    "platform/historian/asking.py:unpack_buckets": unpack_buckets,
    "platform/historian/asking.py:unpack_names": unpack_names,
    "platform/historian/asking.py:unpack_series": lambda data: unpack_series([data]),
    "settings/points.py:read_points": in_a_file(
        "p.csv", lambda file: read_points(file, lambda _: None)
    ),
    "security/access/versions.py:all": in_a_file(
        "versions.jsonl", lambda file: Versions(file.parent).all()
    ),
    "security/data/keys/envelope.py:unseal": lambda data: unseal(
        BytesIO(data), BytesIO(), lambda _: bytes(32)
    ),
    "security/supply/gobuild.py:read_build": read_build,
    "security/supply/minisign.py:parse_public_key": text_of(parse_public_key),
    "settings/policy.py:parse_policy": text_of(
        lambda text: parse_policy(text, Path("policy.toml"))
    ),
    "settings/running.py:bus_of": in_a_file(
        "running.json", lambda file: bus_of(file.parent)
    ),
    "settings/toml.py:parse_toml": text_of(
        lambda text: parse_toml(text, Path("lineshaft.toml"))
    ),
    "settings/toml.py:read_toml": in_a_file(
        "l.toml", lambda file: (read_toml(file), load(file, file.parent))
    ),
    "security/audit/tiles.py:unpack": unpack,
    "security/people/passkeys.py:check": text_of(
        lambda text: Passkeys(_accounts(), "Osaka works").check(text, 0.0)
    ),
    "security/people/single_sign_on.py:_claims": lambda data: SignOn(
        _PROVIDER, "", lambda *_: data
    )._claims(data.decode(errors="replace"), _ENDS, 0.0),
    "web/api/past/times.py:parse_duration": text_of(parse_duration),
    "web/api/past/times.py:parse_span": text_of(lambda text: parse_span(text, "now")),
    "web/api/past/times.py:parse_time": text_of(parse_time),
}
OURS_ONLY = {
    "core/bus/trail.py:_bring_on": "reads the file that we wrote ourselves",
    "settings/running.py:bus_of": "reads the file that we wrote ourselves",
    "security/people/passkeys.py:_challenge": "is tried through check",
    "cli/running.py:reload": "reads what our own plant says",
    "core/bus/watch.py:_stream": "reads what the nats-server says",
    "core/bus/watch.py:_traffic": "reads what the nats-server says",
    "platform/historian/care/backup.py:_reached": "reads the log of our own table",
    "settings/reloading.py:_reload": "reads what our own collector says",
    "network/drivers/mqtt/driver.py:begin": "reads the will that we wrote ourselves",
    "network/drivers/mqtt/path.py:_unquote": "is tried through parse_path",
    "cli/completing.py:_ask": "reads what our own API says",
    "cli/stream.py:follow": "reads what our own API says",
    "web/live/stream.py:_take": "is tried through decode_frame",
}
"""What looks like a decoder and is none, or is tried through another, and why."""
_NAMED = re.compile(r"^(decode|parse|unpack)(_|$)")
_CALLS = re.compile(r"\b(json|msgpack)\.decode\(|\b_decode\(data\)|\bjson\.loads\(")
_READS = {
    "read_toml",
    "unseal",
    "read_build",
    "read_points",
    "read_rows",
    "compile_pattern",
    "find_answer",
}


def decoders_in_the_source() -> set[str]:
    found = set()
    for file in SOURCE.rglob("*.py"):
        text = file.read_text("utf-8")
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            body = ast.get_source_segment(text, node) or ""
            if _NAMED.match(node.name) or node.name in _READS or _CALLS.search(body):
                found.add(f"{file.relative_to(SOURCE)}:{node.name}")
    return found


def test_no_decoder_is_forgotten() -> None:
    assert decoders_in_the_source() == DECODERS.keys() | OURS_ONLY.keys()


SEEDS = [
    encode_event(Event(kind="a", source="b", text="c")),
    msgspec.json.encode(AuditRecord(kind="a", who="b")),
    encode_frame(frame([("a/b", 1, 1.5), ("a/b", 2, "x")])),
    msgspec.json.encode(Wish(patterns=["a/*"])),
    b'{"a": [1, "x\\u00e9", null, {"t": 1e400}], "t": 5}',
    b"[" * 3000,
    b'{"a": "\xff"}',
    b"\xff\xfe\x00",
    b"name,address,type\na/b,holding:1,float\na/c,x,flaot\n",
    b'name,address\na/b,"x\n' + b"a/b,x\n" * 30_000,
    b'name,time,value\na/b,2024-01-01T00:00:00Z,1\n"a\n',
    b'[devices.x]\ndriver = "modbus"\npoints = "p.csv"\nhost = 5\n[web]\nport = "x"\n',
    b"nan", b"inf", b"1e999", b"9" * 400, b"-1", b"0x10", b"9" * 5000, b"\xd9\xa3",
    b"40001", b"3/holding:5:float32:cdab", b"spBv1.0/g/NDATA/e", b"ns=2;s=a", b"1h",
    b"2024-02-30", b"modbus-rtu:///dev/x?unit=1", b"modbus://[::1", b"a/**/b*",
    zstandard.compress(msgspec.msgpack.encode([1, "d", "e", 1, [], [], [], []])),
    zstandard.compress(b"\xff" * 50),
    np.arange(40, dtype="<i4").tobytes(),
    json.dumps({"service": "x", "state": "ok", "figures": {"a": 1}}).encode(),
]  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Return something that was right once, cut off or with some bytes changed."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for place in draw(st.lists(st.integers(0, max(0, len(data) - 1)), max_size=4)):
        if data:
            data[place] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))])


@pytest.mark.parametrize("name", sorted(DECODERS))
@settings(deadline=None, max_examples=60)
@given(data=st.one_of(st.binary(max_size=200), damaged()))
def test_random_bytes_raise_only_our_own_errors(name: str, data: bytes) -> None:
    with suppress(LineshaftError):
        DECODERS[name](data)


@pytest.mark.parametrize("name", sorted(DECODERS))
def test_what_is_nearly_right_raises_only_our_own_errors(name: str) -> None:
    for seed in SEEDS:
        for data in (seed, seed[:-1], seed + b"\0", seed * 2):
            with suppress(LineshaftError):
                DECODERS[name](data)


@given(
    value=st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=20),
    )
)
def test_a_value_of_the_wrong_type_is_a_bad_reading_with_a_reason(
    value: bool | float | str | None,
) -> None:
    kinds = list(Kind)
    points = [
        Point(name="a/b", address="x", type=kind, scale=scale)
        for kind in kinds
        for scale in (1.0, 2.5)
    ]
    batch = Batch()
    for place in range(len(points)):
        batch.add(place, value, 1)
    shaper = Shaper(points)
    columns = shaper.shape(batch, 1)
    for row in range(len(columns)):
        if columns.kind[row] == 0 and value is not None:
            status = shaper.statuses[columns.status[row]]
            assert status.quality == "bad"
            assert status.reason
