"""The HTTP API over the fake plant, as an ASGI application.

Try the page by hand, with `tests` on the Python path:
`python -m granian --interface asgi --port 8080 support.fake_api.server:app`
"""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from lineshaft.core.name import select
from support.fake_api.plant import Json, Plant, bucket_series, raw_series, text

Message = MutableMapping[str, Any]  # ASGI: texts, bytes, flags
Scope = dict[str, Any]  # likewise
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Query = dict[str, list[str]]

STATIC = Path(__file__).parents[3] / "src/lineshaft/web/static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
MEDIA = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".md": "text/plain; charset=utf-8",
}


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


OWNER: Json = {
    "subject": "local:test",
    "how": "owner",
    "lacks": "",
    "locked": False,
    "is_owner": True,
    "until": None,
    "may_manage": True,
    "doors": {
        "banner": "",
        "single_sign_on": "",
        "loopback": "owner",
        "second_factor": "optional",
    },
}


class FakeApi:
    """Serves the page and answers it; streams can be cut and readings counted."""

    def __init__(self) -> None:
        self.plant = Plant(time.time())
        self.resumed: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hold one stream."""
        query = parse_qs(scope.get("query_string", b"").decode())
        if scope["type"] == "websocket":
            await self._stream(query, receive, send)
        elif scope["type"] == "http":
            path = str(scope["path"])
            if path.startswith(("/api/", "/fake/")):
                body = json.loads(await _body(receive) or b"{}")
                status, answer = self._answer(path, query, body)
                data = json.dumps(answer).encode()
                await _reply(send, status, "application/json", data)
            else:
                await _file(send, path)

    def _answer(self, path: str, query: Query, body: Json) -> tuple[int, object]:
        answers: dict[str, Callable[[], object]] = {
            "/api/v1/session": lambda: OWNER,
            "/api/v1/approvals": list,
            "/api/v1/health": lambda: self.plant.health(time.time()),
            "/api/v1/namespace": lambda: self.plant.level(query.get("place", [""])[0]),
            "/api/v1/points": lambda: self._points(query),
            "/api/v1/readings": lambda: self.last(query["pattern"]),
            "/api/v1/history": lambda: self._history(query),
            "/api/v1/events": lambda: self.plant.events[::-1],
            "/fake/resumed": lambda: self.resumed,
        }
        if path == "/api/v1/write":
            return self._write(body)
        if path == "/fake/say":
            self.plant.said[str(body["name"])] = body["value"]  # type: ignore[assignment] # as sent by the test
            return 200, {}
        if path == "/fake/crash":
            os._exit(3)  # the streams break off, as they do with a real crash
        return (200, answers[path]()) if path in answers else (404, {"title": "no"})

    def _points(self, query: Query) -> Json:
        sought = query.get("search", [""])[0].lower()
        names = list(self.plant.points)
        if sought:
            found = [
                name
                for name, point in self.plant.points.items()
                if sought in name.lower() or sought in str(point["description"]).lower()
            ]
        else:
            found = select(query.get("pattern", ["**"])[0], names)
        start = int(query.get("offset", ["0"])[0])
        some = found[start : start + int(query.get("limit", ["1000"])[0])]
        points = [self.plant.points[name] for name in some]
        return {"total": len(found), "points": points}

    def names_of(self, patterns: list[str]) -> list[str]:
        names = list(self.plant.points)
        found = {name: None for pattern in patterns for name in select(pattern, names)}
        return list(found)

    def last(self, patterns: list[str]) -> list[Json]:
        now = time.time()
        return [self.plant.reading(name, now) for name in self.names_of(patterns)]

    def _history(self, query: Query) -> Json:
        start, end = _seconds(query["from"][0]), _seconds(query["to"][0])
        if "every" not in query:
            series = [raw_series(self.plant, one, start, end) for one in query["name"]]
            return {"every_s": None, "series": series, "more": []}
        every = float(query["every"][0].removesuffix("ms")) / 1000
        series = [
            bucket_series(self.plant, one, start, end, every) for one in query["name"]
        ]
        return {"every_s": every, "series": series}

    def _write(self, body: Json) -> tuple[int, Json]:
        name, value = str(body["name"]), body["value"]
        if isinstance(value, int | float) and value > 100:
            reason = "the device refuses values above 100"
            return 409, {"id": "2", "verdict": "refused", "reason": reason}
        self.plant.said[name] = value  # type: ignore[assignment] # as typed by the visitor
        return 200, {"id": "1", "verdict": "confirmed", "reason": ""}

    async def _stream(self, query: Query, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        stream = _Stream(self, query.get("pattern", ["**"]), send)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(stream.hear(receive))
                tasks.create_task(stream.speak(query.get("resume", [""])[0]))
        except* ConnectionError:
            pass  # the visitor has gone


class _Stream:
    """One visitor's live stream."""

    def __init__(self, api: FakeApi, patterns: list[str], send: Send) -> None:
        self.api, self.patterns, self._send = api, patterns, send
        self.token = int(time.time() * 10)

    async def hear(self, receive: Receive) -> None:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                raise ConnectionError
            self.patterns = json.loads(str(message["text"]))["patterns"]
            await self._snapshot()

    async def speak(self, resume: str) -> None:
        if resume:
            self.api.resumed.append(resume)
            self.token = int(resume)
        else:
            await self._snapshot()
        while True:
            await self._advance()
            await asyncio.sleep(0.1)

    async def _snapshot(self) -> None:
        readings = self.api.last(self.patterns)
        await self._say({"kind": "snapshot", "readings": readings})

    async def _advance(self) -> None:
        """Say all readings since the token; each point has one a second."""
        last, now = self.token // 10, int(time.time())
        self.token = max(self.token, now * 10)
        readings = [
            self.api.plant.reading(name, float(at))
            for at in range(last + 1, now + 1)
            for name in self.api.names_of(self.patterns)
        ]
        if readings:
            await self._say({"kind": "readings", "readings": readings})

    async def _say(self, message: Json) -> None:
        data = json.dumps({"token": str(self.token), **message})
        await self._send({"type": "websocket.send", "text": data})


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = bool(message.get("more_body"))
    return body


async def _file(send: Send, path: str) -> None:
    file = (STATIC / path.lstrip("/")).resolve()
    file = file / "index.html" if file.is_dir() else file
    if not file.is_relative_to(STATIC.resolve()) or not file.is_file():
        await _reply(send, 404, "text/plain", b"not found")
        return
    await _reply(send, 200, MEDIA.get(file.suffix, "text/plain"), file.read_bytes())


async def _reply(send: Send, status: int, media: str, data: bytes) -> None:
    headers = [
        (b"content-type", media.encode()),
        (b"content-security-policy", POLICY.encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})


def build() -> FakeApi:
    """Return the application with a few events."""
    api = FakeApi()
    now = time.time()
    for ago, severity, kind, said in (
        (9000, "info", "plant.started", "The plant has started."),
        (1500, "error", "device.silent", "press_1 does not answer; we keep trying."),
        (1320, "info", "device.back", "press_1 answers again after 180 s."),
    ):
        api.plant.events.append(
            {
                "kind": kind,
                "source": "press_1",
                "text": said,
                "severity": severity,
                "time": text(now - ago),
                "detail": {},
            }
        )
    return api


app = build()
