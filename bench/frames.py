"""How readings are best packed for the road: the measurement behind decision 0003."""

import io
import json
import time
from collections.abc import Callable

import msgspec
import numpy as np
import pyarrow as pa
import zstandard

from lineshaft.core.frame import Columns, Frame, decode_frame, encode_frame, pack_values
from lineshaft.core.reading import GOOD, Value, bad, iso

Row = dict[str, object]
READINGS = 1000
ROUNDS = 200


def example(readings: int = READINGS) -> Frame:
    """Return a poll of a device: floats, counters, bools and strings of one moment."""
    random = np.random.default_rng(1)
    values: list[Value | None] = []
    for number in range(readings):
        kind = number % 20
        if kind < 16:
            values.append(round(float(random.normal(50, 20)), 2))
        elif kind < 18:
            values.append(int(random.integers(0, 1_000_000)))
        else:
            values.append(
                bool(number % 3) if kind == 18 else ("run", "idle")[number % 2]
            )
    kinds, bits, texts = pack_values(values)
    times = 1_790_000_000_000_000 + random.integers(0, 20_000, readings)
    status = (random.random(readings) < 0.001).astype(np.uint16)
    names = tuple(f"acme/osaka/press/line{n % 4}/point_{n}" for n in range(readings))
    columns = Columns(np.arange(readings, dtype=np.uint32), times, kinds, bits, status)
    statuses = (GOOD, bad("no answer"))
    units = ("mm",) * readings
    return Frame("press", "0123456789ab", 1, names, units, texts, statuses, columns)


def rows() -> list[Row]:
    """Return size and time of each encoding for the same readings."""
    frame = example()
    found: list[Row] = []
    for name, (encode, decode) in _encodings(frame).items():
        data = encode()
        found.append(_row(f"{name} size", len(data) / len(frame), "bytes/reading"))
        found.append(_row(f"{name} encode", _us(encode) / len(frame), "us/reading"))
        once = _us(lambda decode=decode, data=data: decode(data))  # type: ignore[misc]
        found.append(_row(f"{name} decode", once / len(frame), "us/reading"))
    bars = {"columns+zstd size": 25.0, "columns+zstd decode": 1.0}
    for row in found:
        row["bar"] = bars.get(str(row["name"]))
        row["ok"] = row["bar"] is None or float(str(row["value"])) <= float(row["bar"])  # type: ignore[arg-type]
    return found


Encoding = tuple[Callable[[], bytes], Callable[[bytes], object]]


def _encodings(frame: Frame) -> dict[str, Encoding]:
    return {
        "columns+zstd": (lambda: encode_frame(frame), decode_frame),
        "arrow ipc": (lambda: _arrow(frame, None), _from_arrow),
        "arrow ipc+zstd": (lambda: _arrow(frame, "zstd"), _from_arrow),
        "json rows": (lambda: _json(frame), json.loads),
        "json rows+zstd": (
            lambda: zstandard.ZstdCompressor(level=1).compress(_json(frame)),
            lambda data: json.loads(zstandard.ZstdDecompressor().decompress(data)),
        ),
        "msgpack rows": (lambda: _msgpack(frame), msgspec.msgpack.decode),
    }


def _arrow(frame: Frame, compression: str | None) -> bytes:
    columns = frame.columns
    table = pa.table(
        {
            "name": pa.DictionaryArray.from_arrays(
                pa.array(columns.point.astype(np.int32)), pa.array(frame.names)
            ),
            "time": pa.array(columns.time, pa.timestamp("us", "UTC")),
            "kind": columns.kind,
            "bits": columns.bits,
            "status": columns.status,
        },
        metadata={"texts": json.dumps(frame.texts), "device": frame.device},
    )
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _from_arrow(data: bytes) -> object:
    return pa.ipc.open_stream(data).read_all()


def _plain(frame: Frame) -> list[tuple[object, ...]]:
    return [
        (r.name, r.value, r.status.quality.value, r.status.reason, r.time_us, r.unit)
        for r in frame.readings()
    ]


def _json(frame: Frame) -> bytes:
    names = ("name", "value", "quality", "reason", "time", "unit")
    return json.dumps(
        [
            dict(zip(names, (*row[:4], iso(int(str(row[4]))), row[5]), strict=True))
            for row in _plain(frame)
        ]
    ).encode()


def _msgpack(frame: Frame) -> bytes:
    return msgspec.msgpack.encode(_plain(frame))


def _us(work: Callable[[], object]) -> float:
    work()
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best * 1e6


def _row(name: str, value: float, unit: str) -> Row:
    return {"name": name, "value": round(value, 3), "unit": unit}


if __name__ == "__main__":
    for row in rows():
        print(row)
