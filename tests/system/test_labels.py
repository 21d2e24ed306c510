"""What must stay in the plant by its label is not told to programs above it."""

from pathlib import Path

import pytest
from asyncua import Client, ua

from lineshaft.cli.files.reporting import decisions
from lineshaft.core.errors import NotFound
from support.plant import RunningPlant, started, wait_for

pytestmark = pytest.mark.timeout(240)
CONFIG = """\
[bus]
port = 0
[northbound.opcua]
port = 0
[computed]
points = "computed.csv"
[[data.label]]
on = ["acme/open"]
class = "production"
grade = "general"
[[data.label]]
on = ["acme/core"]
class = "development"
grade = "core"
"""
POINTS = "name;expression;type\nacme/open/x;1 + 1;int\nacme/core/y;1 + 2;int\n"


def address(plant: RunningPlant) -> str:
    services = {s["service"]: s for s in plant.get("/health")["services"]}
    return str(services["northbound.opcua"]["figures"].get("url", ""))


async def test_core_data_are_not_served_and_the_decision_is_recorded(
    tmp_path: Path,
) -> None:
    (tmp_path / "lineshaft.toml").write_text(CONFIG)
    (tmp_path / "computed.csv").write_text(POINTS)
    arguments = ["up", "--config", str(tmp_path / "lineshaft.toml")]
    with started(arguments, tmp_path / "data") as plant:
        wait_for(lambda: address(plant), "the OPC UA server tells where it is")
        async with Client(address(plant)) as client:
            index = await client.get_namespace_index("urn:lineshaft:plant")
            shown = client.get_node(ua.NodeId("acme/open/x", index))
            assert (await shown.read_browse_name()).Name == "x"
            kept = client.get_node(ua.NodeId("acme/core/y", index))
            with pytest.raises(ua.UaStatusCodeError, match="BadNodeIdUnknown"):
                await kept.read_browse_name()

        def told() -> dict[str, str]:
            try:
                return {each.name: each.result for each in decisions(plant.data)}
            except NotFound:  # the log is about to be begun
                return {}

        wait_for(lambda: len(told()) == 2, "both decisions are in the audit log")
        assert told() == {"acme/open/x": "success", "acme/core/y": "denied"}
