"""Addresses of OPC UA variables."""

from contextlib import suppress
from uuid import UUID

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.core.errors import ConfigError
from lineshaft.network.drivers.opcua.address import parse_address, text_of

NAMESPACES = ["http://opcfoundation.org/UA/", "urn:server", "http://acme.com/a;b%3B"]
GUID = "72962b91-fa75-4ae6-8d28-b404dc7daf63"


@pytest.mark.parametrize(
    ("text", "identifier", "index", "uri"),
    [
        ("i=2258", 2258, 0, None),
        ("ns=2;s=Press.Speed", "Press.Speed", 2, None),
        ("ns=2;s=a;b=c", "a;b=c", 2, None),
        (" ns=3;i=4294967295 ", 4294967295, 3, None),
        (f"ns=1;g={GUID}", UUID(GUID), 1, None),
        ("ns=1;b=AQID", b"\1\2\3", 1, None),
        ("nsu=http://acme.com/x;s=Speed", "Speed", 0, "http://acme.com/x"),
        ("nsu=a%3Bb;i=1", 1, 0, "a;b"),
    ],
)
def test_an_address_is_the_standards_text_of_a_node_id(
    text: str, identifier: object, index: int, uri: str | None
) -> None:
    address = parse_address(text)
    assert (address.identifier, address.index, address.uri) == (identifier, index, uri)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Press.Speed",
        "ns=2",
        "ns=2;s=",
        "ns=70000;i=1",
        "i=4294967296",
        "i=-1",
        "i=²",
        "ns=2;g=no-guid",
        "ns=2;b=???",
        "ns=x;i=1",
        "nsu=;i=1",
    ],
)
def test_what_is_no_node_id_is_refused_in_words(text: str) -> None:
    with pytest.raises(ConfigError, match=r"\w+ \w+"):
        parse_address(text)


IDENTIFIERS = (
    st.integers(0, 2**32 - 1)
    | st.text(min_size=1).filter(lambda text: text == text.strip())
    | st.binary(min_size=1)
    | st.uuids()
)


@given(IDENTIFIERS, st.integers(0, 5))
def test_what_browsing_writes_leads_back_to_the_node(
    identifier: int | str | bytes | UUID, index: int
) -> None:
    text = text_of(ua.NodeId(identifier, index), NAMESPACES)
    address = parse_address(text)
    assert address.identifier == identifier
    if 0 < index < len(NAMESPACES):
        assert address.uri == NAMESPACES[index]
    else:
        assert (address.uri, address.index) == (None, index)


@given(st.text())
def test_any_text_is_an_address_or_a_configuration_error(text: str) -> None:
    with suppress(ConfigError):
        assert parse_address(text).identifier not in {"", b""}
