"""Whatever fits the API's description is answered as the description says."""

import asyncio
import json
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from lineshaft.web.api.app import build_app, openapi_json
from support.web_plant import WebPlant, points

OF_THE_AUDIT_ROOM = ("/audit", "/audit/checkpoint", "/proof", "/add-checkpoint")
"""These are answered by another room, which is not there."""
PARTS = ("method", "url", "headers", "params", "json", "content", "data")
EACH = 12


def cases() -> list[tuple[set[str], str, Any]]:
    """Return requests that fit the description, and the answers that it knows."""
    found: list[tuple[set[str], str, Any]] = []
    schema = schemathesis.openapi.from_dict(json.loads(openapi_json()))
    for result in schema.get_all_operations():
        operation = result.ok()  # type: ignore[union-attr]  # the other is raised
        if operation.path.endswith(OF_THE_AUDIT_ROOM):
            continue
        known = set(operation.definition.raw["responses"])
        found += [(known, operation.label, case) for case in made_of(operation)]
    return found


def made_of(operation: Any) -> list[Any]:  # Any: its types are its own
    """Return some requests of one operation, each time the same."""
    made: list[Any] = []

    @settings(
        max_examples=EACH,
        database=None,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(operation.as_strategy())
    def collect(case: Any) -> None:
        made.append(case)

    collect()
    return made


async def ask(wanted: list[tuple[set[str], str, Any]]) -> list[str]:
    """Return what was answered otherwise than described."""
    plant = WebPlant(points(3))
    transport = httpx.ASGITransport(build_app(plant.rooms))  # type: ignore[arg-type]  # two ways to type it
    where, wrong = "http://127.0.0.1:8080", []
    async with (
        plant.running(),
        httpx.AsyncClient(transport=transport, base_url=where, timeout=60) as client,
    ):
        for known, label, case in wanted:
            given = case.as_transport_kwargs(base_url=where)
            parts = {key: given[key] for key in PARTS if given.get(key) is not None}
            answer = await client.request(**parts)
            fault = answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR
            if fault or str(answer.status_code) not in known:
                wrong.append(f"{label}: {answer.status_code} {answer.text[:200]}")
    return wrong


def test_what_fits_the_description_is_answered_as_described() -> None:
    wanted = cases()
    assert len({label for _, label, _ in wanted}) >= 30
    assert asyncio.run(ask(wanted)) == []
