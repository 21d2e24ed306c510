"""A software bill of materials: CycloneDX 1.6 in JSON (ECMA-424)."""

import uuid
from collections.abc import Sequence
from datetime import datetime

import msgspec

from lineshaft.security.supply.parts import US, Part

_OURS = uuid.UUID("5c6f0e0c-6a0b-5d4e-9b39-0c0b8e2c6d11")
"""The name space of our serial numbers."""


def bill(parts: Sequence[Part], version: str, now: datetime) -> bytes:
    """Return the bill of a release or an installation.

    The same parts at the same time give the same bytes: the serial number is made of
    them (UUID version 5).
    """
    unique = {part.purl: part for part in parts if part.name != US}
    ordered = [unique[purl] for purl in sorted(unique)]
    ours = next((part for part in parts if part.name == US), None)
    us = ours or Part(
        name=US,
        version=version,
        purl=f"pkg:pypi/{US}@{version}",
        licence="Apache-2.0",
        spdx=True,
        needs=tuple(p.purl for p in ordered if p.purl.startswith("pkg:pypi/")),
    )
    us = msgspec.structs.replace(us, kind="application")
    seed = msgspec.json.encode([us, *ordered]) + now.isoformat().encode()
    serial = uuid.uuid5(_OURS, seed.hex())
    told = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial.urn,
        "version": 1,
        "metadata": {
            "timestamp": now.isoformat(timespec="seconds"),
            "tools": {
                "components": [{"type": "application", "name": US, "version": version}]
            },
            "component": _component(us),
        },
        "components": [_component(part) for part in ordered],
        "dependencies": [_dependency(part, unique) for part in (us, *ordered)],
    }
    return msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n"


def _component(part: Part) -> dict[str, object]:
    made: dict[str, object] = {
        "type": part.kind,
        "bom-ref": part.purl,
        "name": part.name,
        "version": part.version,
        "purl": part.purl,
    }
    if part.licence:
        named = {"expression": part.licence}
        worded = {"license": {"name": part.licence}}
        made["licenses"] = [named if part.spdx else worded]
    if part.hashes:
        made["hashes"] = [{"alg": a, "content": digits} for a, digits in part.hashes]
    return made


def _dependency(part: Part, known: dict[str, Part]) -> dict[str, object]:
    needs = sorted(purl for purl in set(part.needs) if purl in known)
    if not needs:
        return {"ref": part.purl}
    return {"ref": part.purl, "dependsOn": needs}
