"""A plant that only answers: its HTTP API with readings made by hand, for the verbs."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from typing_extensions import override

Query = dict[str, list[str]]
NAMES = ("acme/osaka/press/force", "acme/osaka/press/on", "acme/osaka/press/strokes")
TYPES = dict(zip(NAMES, ("float", "bool", "int"), strict=True))
WHEN = "2026-11-23T06:00:00.000001Z"


def reading(name: str, value: object = 1.5) -> dict[str, object]:
    """Return a reading as the API tells it."""
    return {
        "name": name,
        "value": value,
        "quality": "good",
        "reason": "",
        "time": WHEN,
        "unit": "mm",
    }


class Problem(Exception):
    """The answer is a problem of RFC 9457."""

    def __init__(self, status: int, detail: str, **more: object) -> None:
        self.status = status
        self.body = {"type": "about:blank", "detail": detail, "status": status} | more


@dataclass
class PlantApi:
    """Answers as told, and remembers what it was asked."""

    verdict: str = "confirmed"
    reason: str = ""
    status: str = "ok"
    names: tuple[str, ...] = NAMES
    cut_export: bool = False
    asked: list[tuple[str, Query]] = field(default_factory=list)
    written: list[dict[str, object]] = field(default_factory=list)

    def get(self, path: str, query: Query) -> object:
        """Return the answer to a GET."""
        self.asked.append((path, query))
        answers: dict[str, Callable[[Query], object]] = {
            "/api/v1/readings": self._readings,
            "/api/v1/points": self._points,
            "/api/v1/history": self._history,
            "/api/v1/health": self._health,
        }
        return answers[path](query)

    def _readings(self, query: Query) -> object:
        [pattern] = query["pattern"]
        return [reading(n) for n in self.names if "*" in pattern or n == pattern]

    def _points(self, query: Query) -> object:
        word = query.get("search", [""])[0]
        found = [name for name in self.names if word in name]
        if "pattern" in query:
            found = [name for name in found if name in query["pattern"]]
        rows = [{"name": name, "type": TYPES.get(name, "float")} for name in found]
        return {"total": len(rows), "points": rows}

    def _history(self, query: Query) -> object:
        if query["name"] == ["acme/none"]:
            raise Problem(404, "there is no point 'acme/none'")
        if query["from"] == ["never"]:
            raise Problem(400, "'never' is not a time; write now or -5m")
        series: dict[str, object] = {"name": query["name"][0], "unit": "mm"}
        columns: tuple[str, ...] = ("value", "quality", "reason")
        if "every" in query:
            columns = ("min", "max", "mean", "time_mean", "first", "last")
            columns += ("count", "good", "integral")
        series |= {"time": [WHEN, WHEN]}
        series |= {column: [f"{column} 0", f"{column} 1"] for column in columns}
        return {"every_s": None, "series": [series], "more": []}

    def _health(self, _: Query) -> object:
        service = {"service": "web", "state": self.status, "reason": "", "figures": {}}
        return {"status": self.status, "time": WHEN, "services": [service]}

    def write(self, wish: dict[str, object]) -> object:
        """Return the answer to a POST of a write."""
        self.written.append(wish)
        outcome = {"id": "1", "verdict": self.verdict, "reason": self.reason}
        if self.verdict != "confirmed":
            raise Problem(409, self.reason, **outcome)
        return outcome


def _speaker(api: PlantApi) -> type[BaseHTTPRequestHandler]:
    class Speaker(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/api/v1/export":
                self._export()
                return
            self._answer(lambda: api.get(parts.path, parse_qs(parts.query)))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self._answer(lambda: api.write(json.loads(body)))

        def _export(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "6")
            self.end_headers()
            self.wfile.write(b"abc" if api.cut_export else b"abcdef")
            self.close_connection = True

        def _answer(self, make: Callable[[], object]) -> None:
            try:
                status, said = 200, make()
            except Problem as problem:
                status, said = problem.status, problem.body
            data = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        @override
        def log_message(self, format: str, *_: object) -> None:
            """Keep the tests' output quiet."""

    return Speaker


def announce(data: Path, url: str, bus: str = "", pid: int | None = None) -> None:
    """Write the file by which a running plant is found."""
    data.mkdir(exist_ok=True)
    said = {"url": url, "bus": bus, "demo": False, "plant": "Osaka works"}
    said |= {"pid": os.getpid() if pid is None else pid}
    (data / "running.json").write_text(json.dumps(said), "utf-8")


@contextmanager
def running_plant(data: Path) -> Iterator[PlantApi]:
    """Serve the API while the block is open; `data` leads to it."""
    api = PlantApi()
    with ThreadingHTTPServer(("127.0.0.1", 0), _speaker(api)) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        announce(data, f"http://127.0.0.1:{server.server_port}")
        try:
            yield api
        finally:
            server.shutdown()
            serving.join()
