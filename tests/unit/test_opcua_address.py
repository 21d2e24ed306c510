"""Addresses of OPC UA variables."""

from contextlib import suppress
from uuid import UUID

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.core.errors import ConfigError
from lineshaft.network.drivers.opcua.address import (
    Address,
    Method,
    Path,
    Variable,
    notifier_of,
    parse_address,
    parse_target,
    text_of,
    uri_text,
)

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


SPEED = Path(((0, "Objects"), (2, "Press"), (2, "Speed")))


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("ns=2;s=a", Variable(Address("a", 2))),
        ("[3]ns=2;s=a", Variable(Address("a", 2), "3")),
        ("[3,0]ns=2;i=7", Variable(Address(7, 2), "3,0")),
        ('ns=3;s="DB"."t"[3]', Variable(Address('"DB"."t"[3]', 3))),
        ("path:/Objects/2:Press/2:Speed", Variable(SPEED)),
        ("[1]path:/Objects/2:Press/2:Speed", Variable(SPEED, "1")),
        (
            "nsu=http://a/b;path:/Objects/Press/2:V1.2/a&/b&&&:c",
            Variable(
                Path(
                    (
                        (0, "Objects"),
                        ("http://a/b", "Press"),
                        (2, "V1.2"),
                        ("http://a/b", "a/b&:c"),
                    )
                )
            ),
        ),
        ("method:ns=2;s=a|b|ns=2;s=c", Method(Address("a|b", 2), Address("c", 2))),
        ("method:path:/Objects/2:Press/2:Speed", Method(Path(SPEED.steps[:-1]), SPEED)),
        (
            "method:i=1|path:/Objects/2:Press/2:Speed",
            Method(Address(1, 0), SPEED),
        ),
    ],
)
def test_an_address_may_be_an_element_a_path_or_a_method(
    text: str, target: object
) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize(
    "text",
    [
        "path:",
        "path:/",
        "path:/Objects//a",
        "path:/Objects/a&",
        "path:/Objects/70000:a",
        "[]ns=2;s=a",
        "[1:2]ns=2;s=a",
        "[1]method:i=1|i=2",
        "method:",
        "method:i=1",
        "method:path:/Objects",
        "method:i=1|i=2|i=3",
    ],
)
def test_what_is_no_target_is_refused_in_words(text: str) -> None:
    with pytest.raises(ConfigError, match=r"\w+ \w+"):
        parse_target(text)


@given(st.lists(st.text(min_size=1), min_size=1))
def test_any_browse_name_can_be_written_into_a_path(names: list[str]) -> None:
    def escaped(name: str) -> str:
        return "".join(f"&{sign}" if sign in "&/:" else sign for sign in name)

    text = "path:/Objects" + "".join(f"/{escaped(name)}" for name in names)
    if text == text.strip():
        steps = ((0, "Objects"), *((0, name) for name in names))
        assert parse_target(text) == Variable(Path(steps))


@given(st.text())
def test_any_text_is_a_target_or_refused(text: str) -> None:
    for prefix in ("", "path:/", "method:", "[1]"):
        with suppress(ConfigError):
            parse_target(prefix + text)


def test_a_node_id_is_told_with_the_name_of_its_namespace() -> None:
    assert uri_text("ns=1;s=a;b", NAMESPACES) == "nsu=urn:server;s=a;b"
    assert uri_text("ns=9;i=1", NAMESPACES) == "ns=9;i=1"
    assert uri_text("i=2253", NAMESPACES) == "i=2253"
    assert notifier_of("server") == Address(2253, 0)
