"""The routes that let data out and commands in."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import JSONBody, QueryParameter
from litestar.response import Stream

from lineshaft.core.bus.audit import Result
from lineshaft.core.command import Verdict, carry_out
from lineshaft.core.errors.codes import code_at
from lineshaft.core.reading import iso
from lineshaft.core.series import Format
from lineshaft.security.access.roles import Action
from lineshaft.web.api.answers import MEDIA, VERDICT
from lineshaft.web.api.door.approving import Approving
from lineshaft.web.api.door.rights import Looker
from lineshaft.web.api.door.shapes import ApprovalView, approval_view
from lineshaft.web.api.leaving import headers_of, label_of
from lineshaft.web.api.problems import MEDIA_TYPE
from lineshaft.web.api.rooms import Rooms
from lineshaft.web.api.told import LOOKING, PROBLEMS, told
from lineshaft.web.shapes import NotWritten, Write, Written

Here = NamedDependency[Rooms]
Eyes = NamedDependency[Looker]
Span = NamedDependency[tuple[int, int]]
Second = NamedDependency[Approving]


@dataclass
class _Export(Operation):
    """An operation whose answer has one of several media types."""

    def __post_init__(self) -> None:
        binary = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
        content = {media: OpenAPIMediaType(schema=binary) for media in MEDIA.values()}
        answer = OpenAPIResponse(description="The file, streamed.", content=content)
        self.responses = (self.responses or {}) | {"200": answer}


@get(
    "/export",
    operation_id="exportReadings",
    summary="A file with every reading of the span",
    responses=LOOKING,
    operation_class=_Export,
)
async def get_export(
    rooms: Here,
    looker: Eyes,
    pattern: Annotated[
        str, QueryParameter(description="Which points; see `/readings`.")
    ],
    span: Span,
    form: Annotated[
        Format, QueryParameter(name="format", description="How the file is written.")
    ] = Format.CSV,
    region: Annotated[
        str, QueryParameter(description="Where the file goes; empty: our own region.")
    ] = "",
) -> Stream:
    """Stream a file; CSV, JSON, Parquet or Arrow."""
    names = await rooms.history.names(pattern)
    await looker.check(Action.EXPORT, names)
    label = label_of(rooms.gate, names, region)
    parts = rooms.history.export(pattern, *span, form)
    # The first part is awaited here, so that what is wrong has a status of its own.
    first = await anext(parts, b"")
    what = f"{iso(span[0])} to {iso(span[1])} as {form.value}" + (
        f"; {label}" if label else ""
    )
    await looker.record("export.file", pattern, what)

    async def everything() -> AsyncIterator[bytes]:
        yield first
        async for part in parts:
            yield part

    return Stream(everything, media_type=MEDIA[form], headers=headers_of(form, label))


@post(
    "/write",
    operation_id="writeValue",
    summary="Write a value to a point",
    status_code=HTTPStatus.OK,
    responses=LOOKING
    | {
        200: told("Confirmed by the device.", Written, "application/json"),
        202: told(
            "A second person must agree first; then send it again with the number.",
            ApprovalView,
            "application/json",
        ),
        409: told("The device or its settings said no.", NotWritten),
        413: told("The body is larger than 64 KiB."),
        429: PROBLEMS[429],
        504: told("Nobody knows whether it was carried out.", NotWritten),
    },
)
async def post_write(
    rooms: Here, looker: Eyes, second: Second, data: JSONBody[Write]
) -> Response[Written | NotWritten | ApprovalView]:
    """Send a command to the device, once, and wait for its outcome."""
    device = looker.namespace.device(data.name)
    wants = await looker.check(Action.WRITE, [data.name])
    if wants is not None:
        what = msgspec.json.encode(data.value).decode()
        if not data.approval:
            asked = approval_view(await second.ask(looker.caller, wants, what))
            return Response(asked, status_code=HTTPStatus.ACCEPTED)
        await second.use(looker.caller, data.approval, (Action.WRITE, data.name, what))
    wish, within_s = (data.name, data.value), data.timeout_s
    who = looker.caller.subject
    by = f"{who}, {data.by}" if data.by else who
    outcome = await carry_out(rooms.bus, device, wish, by=by, within_s=within_s)
    told_us = f"{data.value!r}: {outcome.verdict} {outcome.reason}".strip()
    result = Result.SUCCESS if outcome.verdict is Verdict.CONFIRMED else Result.FAILURE
    await looker.record("command.write", data.name, told_us, result)
    status = VERDICT[outcome.verdict]
    if status is HTTPStatus.OK:
        return Response(
            Written(outcome.id, outcome.verdict, outcome.reason, outcome.answer)
        )
    detail = f"{data.name}: {outcome.reason}"
    failed = NotWritten(
        outcome.id,
        outcome.verdict,
        outcome.reason,
        status.phrase,
        status,
        detail,
        code=code_at("network.commander", "Refused"),
    )
    return Response(failed, status_code=status, media_type=MEDIA_TYPE)


ROUTES = [get_export, post_write]
