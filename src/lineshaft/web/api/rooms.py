"""Whoever knows the answers."""

from collections.abc import Mapping
from dataclasses import dataclass

from lineshaft.core.bus import Asks
from lineshaft.core.series import History
from lineshaft.web.api.door.approving import Approving
from lineshaft.web.api.door.rights import Rights
from lineshaft.web.api.leaving import ExportGate
from lineshaft.web.live.talk import Told
from lineshaft.web.page import File


@dataclass(frozen=True, slots=True)
class Rooms:
    """Whoever knows the answers."""

    told: Told
    history: History
    bus: Asks
    files: Mapping[str, File]
    rights: Rights
    eyes: Approving
    gate: ExportGate | None = None
