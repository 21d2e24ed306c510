"""The routes of auditors, and of other plants that want a witness."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from lineshaft.core.reading import iso
from lineshaft.security.access.roles import Action
from lineshaft.security.audit.asking import AuditClient, Search
from lineshaft.security.audit.verifying import Proof
from lineshaft.web.api.door.callers import Caller
from lineshaft.web.api.door.rights import Rights
from lineshaft.web.api.door.shapes import AuditView
from lineshaft.web.api.rooms import Rooms
from lineshaft.web.api.told import LOOKING, PROBLEMS, told

Here = NamedDependency[Rooms]
By = NamedDependency[Rights]
Me = NamedDependency[Caller]
Span = NamedDependency[tuple[int, int]]


class AuditSearch(msgspec.Struct, frozen=True):
    """What records must be, all of it; left out, anything."""

    who: str
    kind: str
    name: str
    result: str


async def provide_audit_search(
    who: Annotated[str, QueryParameter(max_length=200, description="Who did it.")] = "",
    kind: Annotated[
        str, QueryParameter(max_length=200, description="Like `login.*`.")
    ] = "",
    name: Annotated[
        str, QueryParameter(max_length=200, description="What it was done to.")
    ] = "",
    result: Annotated[
        str, QueryParameter(max_length=20, description="Such as `denied`.")
    ] = "",
) -> AuditSearch:
    """Return what the query of an auditor says."""
    return AuditSearch(who, kind, name, result)


@get(
    "/audit",
    operation_id="getAudit",
    summary="Who did what, newest first",
    responses=LOOKING,
)
async def get_audit(
    rooms: Here,
    rights: By,
    me: Me,
    span: Span,
    audit_search: NamedDependency[AuditSearch],
    limit: Annotated[int, QueryParameter(ge=1, le=1_000)] = 100,
) -> list[AuditView]:
    """Return records of the audit log; to read them is written down, too."""
    await rights.check_plant(me, Action.AUDIT_READ)
    wanted = Search(
        audit_search.who,
        audit_search.kind,
        audit_search.name,
        audit_search.result,
        *span,
        limit,
    )
    found = await AuditClient(rooms.bus).search(wanted)
    await rights.record(me, "audit.read", audit_search.kind or "*")
    return [
        AuditView(
            number=each.number,
            kind=each.record.kind,
            who=each.record.who,
            name=each.record.name,
            result=each.record.result,
            text=each.record.text,
            origin=each.record.origin,
            time=iso(each.record.time_us),
            detail=each.record.detail,
        )
        for each in found
    ]


@get(
    "/audit/checkpoint",
    operation_id="getCheckpoint",
    summary="The size and root of the audit log, signed",
    responses=LOOKING | {200: told("A signed note (C2SP).", str, "text/plain")},
)
async def get_checkpoint(rooms: Here, rights: By, me: Me) -> Response[str]:
    """Return the checkpoint, for whoever keeps it elsewhere."""
    await rights.check_plant(me, Action.AUDIT_READ)
    note = await AuditClient(rooms.bus).checkpoint()
    return Response(note, media_type="text/plain")


@get(
    "/audit/{number:int}/proof",
    operation_id="getProof",
    summary="The proof that an entry is in the audit log",
    responses=LOOKING | {409: PROBLEMS[409]},
)
async def get_proof(rooms: Here, rights: By, me: Me, number: FromPath[int]) -> Proof:
    """Return the entry with its path to the root of the checkpoint."""
    await rights.check_plant(me, Action.AUDIT_READ)
    return await AuditClient(rooms.bus).prove(number)


@post(
    "/witness/add-checkpoint",
    operation_id="addCheckpoint",
    summary="Have the checkpoint of another plant's audit log cosigned",
    status_code=200,
    responses={
        200: told("The cosignature.", str, "text/plain"),
        404: told("We are no witness for this log."),
        409: told("We have seen another size, which is told.", str, "text/x.tlog.size"),
        413: told("The body is larger than 64 KiB."),
        503: PROBLEMS[503],
    },
    opt={"open": True, "raw": True},
)
async def post_checkpoint(
    rooms: Here, request: Request[Any, Any, Any]
) -> Response[str]:
    """Sign what follows from what we have seen of this log (C2SP tlog-witness).

    Whoever sends it proves by the log's own signature that it may.
    """
    said = await AuditClient(rooms.bus).witness(await request.body())
    if said.startswith("old "):
        size = f"{said.removeprefix('old ')}\n"
        return Response(size, status_code=409, media_type="text/x.tlog.size")
    return Response(said, media_type="text/plain")


ROUTES = [get_audit, get_checkpoint, get_proof, post_checkpoint]
