"""Who writes through our OPC UA server is known by name and address."""

from typing import cast

import pytest
from asyncua import Client, ua

from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import Value
from lineshaft.core.series import History
from lineshaft.network.northbound.opcua.history import Archive
from lineshaft.network.northbound.opcua.space import open_space
from lineshaft.network.northbound.opcua.visitors import title_of

POINT = Point(name="acme/tariff", address="1", type=Kind.INT, writable=True)


async def test_a_write_bears_the_name_of_the_application_and_its_address() -> None:
    asked: list[tuple[str, Value, str]] = []

    async def write(point: Point, value: Value, by: str) -> ua.StatusCode:
        asked.append((point.name, value, by))
        return ua.StatusCode(ua.StatusCodes.Good)

    archive = Archive(cast("History", None), {POINT.name: POINT.type})
    async with open_space("127.0.0.1", 0, [POINT], write, archive) as space:
        client = Client(space.url)
        client.name = "control room 2"
        async with client:
            index = await client.get_namespace_index("urn:lineshaft:plant")
            node = client.get_node(ua.NodeId(POINT.name, index))
            value = ua.DataValue(ua.Variant(2, ua.VariantType.Int64))
            await node.write_attribute(ua.AttributeIds.Value, value)
    [(name, value, by)] = asked
    assert (name, value) == (POINT.name, 2)
    assert by.startswith("the OPC UA client 'control room 2' at 127.0.0.1:")


@pytest.mark.parametrize(
    ("application", "session", "peer", "title"),
    [
        (None, None, None, "an OPC UA client"),
        ("", "s1", ("::1", 5, 0, 0), "the OPC UA client 's1' at [::1]:5"),
        ("x" * 200, "", None, f"the OPC UA client {'x' * 80!r}"),
        ("a\nb", "", None, "the OPC UA client 'a\\nb'"),
    ],
)
def test_a_client_is_named_by_what_it_says_of_itself(
    application: str | None, session: str | None, peer: object, title: str
) -> None:
    assert title_of(application, session, peer) == title
