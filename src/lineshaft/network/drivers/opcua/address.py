"""Where a variable is in a server: the text form of node ids (IEC 62541-6, 5.3.1.10).

    i=2258                        a number in the OPC UA namespace itself
    ns=2;s=Press.Speed            a string in the server's namespace number 2
    nsu=http://acme.com/press;s=Speed
                                  the same by the namespace's name, which stays when
                                  the server numbers its namespaces anew

`i=`, `s=`, `g=` and `b=` hold a number, a string, a GUID and Base64.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from asyncua import ua

from lineshaft.core.errors import ConfigError

_LAST_NAMESPACE, _LAST_NUMBER = 0xFFFF, 0xFFFF_FFFF
_FORM = re.compile(
    r"(?:ns=(?P<index>\d{1,5});|nsu=(?P<uri>.+?);)?(?P<sort>[isgb])=(?P<text>.*)",
    re.DOTALL,
)
_EXAMPLES = (
    "write it like ns=2;s=Press.Speed, i=2258 or nsu=http://acme.com/press;s=Speed"
)


@dataclass(frozen=True, slots=True)
class Address:
    """A node id whose namespace may be a name."""

    identifier: int | str | bytes | UUID
    index: int
    """Number of the namespace; means nothing when there is a `uri`."""
    uri: str | None = None

    def node_id(self, namespaces: Sequence[str]) -> ua.NodeId | None:
        """Return it for a server with these namespaces; None if it lacks the name."""
        index = self.index
        if self.uri is not None:
            if self.uri not in namespaces:
                return None
            index = namespaces.index(self.uri)
        return ua.NodeId(self.identifier, index)


def parse_address(text: str) -> Address:
    """Return the address that `text` means; `ConfigError` says what is wrong."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"{text!r} is not an OPC UA node id: {_EXAMPLES}")
    index = int(found["index"] or 0)
    if index > _LAST_NAMESPACE:
        raise ConfigError(f"{text!r}: namespace numbers end at {_LAST_NAMESPACE}")
    uri = None if found["uri"] is None else _unescaped(found["uri"])
    return Address(_identifier(text, found["sort"], found["text"]), index, uri)


def _identifier(whole: str, sort: str, text: str) -> int | str | bytes | UUID:
    if not text:
        raise ConfigError(f"{whole!r} names nothing after {sort}=: {_EXAMPLES}")
    if sort == "s":
        return text
    try:
        if sort == "g":
            return UUID(text)
        if sort == "b":
            return b64decode(text, validate=True)
        number = int(text) if text.isascii() and text.isdigit() else -1
    except (ValueError, NoBase64) as error:
        raise ConfigError(f"{whole!r}: {text!r} is not a {sort}= id ({error})") from (
            error
        )
    if not 0 <= number <= _LAST_NUMBER:
        raise ConfigError(f"{whole!r}: i= wants a number from 0 to {_LAST_NUMBER}")
    return number


def text_of(node: ua.NodeId, namespaces: Sequence[str]) -> str:
    """Return the address to write into a point list, with the namespace's name."""
    index = node.NamespaceIndex
    prefix = ""
    if 0 < index < len(namespaces):
        prefix = f"nsu={_escaped(namespaces[index])};"
    elif index:
        prefix = f"ns={index};"
    return prefix + identifier_text(node.Identifier)


def identifier_text(identifier: int | str | bytes | UUID) -> str:
    """Return an identifier with the letter that tells its sort."""
    if isinstance(identifier, int):
        return f"i={identifier}"
    if isinstance(identifier, UUID):
        return f"g={identifier}"
    if isinstance(identifier, bytes):
        return f"b={b64encode(identifier).decode()}"
    return f"s={identifier}"


# A namespace's name may hold the signs that end it here (IEC 62541-6, 5.3.1.11).
def _escaped(uri: str) -> str:
    return uri.replace("%", "%25").replace(";", "%3B")


def _unescaped(uri: str) -> str:
    return uri.replace("%3B", ";").replace("%3b", ";").replace("%25", "%")
