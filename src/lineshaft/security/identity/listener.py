"""The listener for enrolment: HTTP/1.1 over TLS 1.3, with bounds on everything."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable

import h11

from lineshaft.security.identity.est import LARGEST, Ask, Reply

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 200
WITHIN_S = 20.0
HANDSHAKE_WITHIN_S = 10.0
Answer = Callable[[Ask], Awaitable[Reply]]


class Listener:
    """Speaks with each connection until it ends."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._open = 0

    async def listen(
        self, host: str, port: int, context: ssl.SSLContext
    ) -> asyncio.Server:
        """Begin to listen."""
        return await asyncio.start_server(
            self.speak,
            host,
            port,
            ssl=context,
            ssl_handshake_timeout=HANDSHAKE_WITHIN_S,
            limit=LARGEST,
        )

    async def speak(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer the requests of one connection."""
        self._open += 1
        try:
            if self._open <= MOST_CONNECTIONS:
                await _Talk(reader, writer, self._answer).run()
        except (OSError, TimeoutError, h11.ProtocolError) as error:
            log.debug("a connection ended: %r", error)
        finally:
            self._open -= 1
            writer.close()


class _Talk:
    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answer: Answer,
    ) -> None:
        self._reader, self._writer, self._answer = reader, writer, answer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=16_384)
        layer = writer.get_extra_info("ssl_object")
        self._shown = layer.getpeercert(binary_form=True) if layer else None
        self._address = str((writer.get_extra_info("peername") or ("",))[0])

    async def run(self) -> None:
        while True:
            async with asyncio.timeout(WITHIN_S):
                try:
                    asked = await self._hear()
                except h11.RemoteProtocolError as error:
                    await self._say(Reply(error.error_status_hint, body=b"no request"))
                    return
                if asked is None:
                    return
                await self._say(
                    Reply(413, body=b"the body is too long")
                    if asked.body is _TOO_LONG
                    else await self._answer(asked)
                )
            if self._http.our_state is not h11.DONE:
                return
            try:
                self._http.start_next_cycle()
            except h11.ProtocolError:
                return

    async def _hear(self) -> Ask | None:
        """Return the next request; None at the end."""
        body, asked = b"", None
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(LARGEST))
            elif isinstance(event, h11.Request):
                asked = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > LARGEST:
                    body = _TOO_LONG
                    break
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                return None
        if asked is None:
            return None
        headers = {
            name.decode("ascii", "replace"): value.decode("latin-1")
            for name, value in asked.headers
        }
        method, path = asked.method.decode(), asked.target.decode("ascii", "replace")
        return Ask(method, path, headers, body, self._address, self._shown)

    async def _say(self, reply: Reply) -> None:
        headers = {
            "Content-Type": reply.media,
            "Content-Length": str(len(reply.body)),
            "Cache-Control": "no-store",
        } | reply.headers
        status = h11.Response(
            status_code=reply.status, headers=list(headers.items()), reason=b""
        )
        for event in (status, h11.Data(data=reply.body), h11.EndOfMessage()):
            self._writer.write(self._http.send(event) or b"")
        await self._writer.drain()


_TOO_LONG = b"\x00too long"
