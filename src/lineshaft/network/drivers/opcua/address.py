"""Where a variable is in a server: the text form of node ids (IEC 62541-6, 5.3.1.10).

    i=2258                        a number in the OPC UA namespace itself
    ns=2;s=Press.Speed            a string in the server's namespace number 2
    nsu=http://acme.com/press;s=Speed
                                  the same by the namespace's name, which stays when
                                  the server numbers its namespaces anew

`i=`, `s=`, `g=` and `b=` hold a number, a string, a GUID and Base64. Instead of a node
id there may be a path of browse names from the server's root, and around either:

    path:/Objects/2:Press/2:Speed names with the number of their namespace
    nsu=http://acme.com/press;path:/Objects/Press/Speed
                                  names of that namespace, but the first
    [3]ns=2;s=Temperatures        one element of an array, counted from 0
    method:OBJECT|METHOD          a method of an object, each a node id or a path
    method:path:/Objects/2:Press/2:Start
                                  the same where the path tells the object
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


_PATH = re.compile(r"(?:nsu=(?P<uri>.+?);)?path:(?P<names>/.*)", re.DOTALL)
_RANGE = re.compile(r"\[(?P<range>\d{1,9}(?:,\d{1,9})*)\](?P<rest>.*)", re.DOTALL)
_NEXT_NODE = re.compile(r"\|(?=(?:ns=\d|nsu=.|path:/|[isgb]=))")
_STEP = re.compile(r"(?:(?P<index>\d{1,5}):)?(?P<name>(?:&.|[^&/])+)", re.DOTALL)
_PART = re.compile(r"/((?:&.|[^&/]|&$)*)", re.DOTALL)
_METHOD = "method:"


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


@dataclass(frozen=True, slots=True)
class Path:
    """Browse names that lead from the server's root to a node."""

    steps: tuple[tuple[int | str, str], ...]
    """Namespace, by number or name, and browse name."""

    @property
    def text(self) -> str:
        """Return it for people."""
        return "/" + "/".join(name for _, name in self.steps)


Where = Address | Path


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable, or an element of one that is an array."""

    where: Where
    range: str | None = None
    """Position in each dimension (IEC 62541-4, 7.27)."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method, and the object whose method it is."""

    object: Where
    method: Where


Target = Variable | Method


def parse_target(text: str) -> Target:
    """Return what the address of a point means; `ConfigError` says what is wrong."""
    text = text.strip()
    if text.startswith(_METHOD):
        return _parse_method(text)
    found = _RANGE.fullmatch(text)
    if found is not None:
        return Variable(parse_where(found["rest"]), found["range"])
    return Variable(parse_where(text))


def _parse_method(text: str) -> Method:
    nodes = _NEXT_NODE.split(text.removeprefix(_METHOD))
    if len(nodes) == 2:  # noqa: PLR2004 (an object and its method)
        return Method(parse_where(nodes[0]), parse_where(nodes[1]))
    where = parse_where(nodes[0]) if len(nodes) == 1 else None
    if not isinstance(where, Path) or len(where.steps) == 1:
        raise ConfigError(
            f"{text!r} does not tell an object and its method: write it like "
            "method:ns=2;s=Press|ns=2;s=Press.Start"
        )
    return Method(Path(where.steps[:-1]), where)


def parse_where(text: str) -> Where:
    """Return the node id or path that `text` means; `ConfigError` otherwise."""
    found = _PATH.fullmatch(text.strip())
    if found is None:
        return parse_address(text)
    steps: list[tuple[int | str, str]] = []
    for part in _PART.findall(found["names"]):
        step = _STEP.fullmatch(part)
        if step is None or int(step["index"] or 0) > _LAST_NAMESPACE:
            raise ConfigError(
                f"{text!r}: {part!r} is no browse name: write a path like "
                "path:/Objects/2:Press/2:Speed, and && or &/ for & or / in a name"
            )
        # The folders right below the root belong to the standard.
        named = found["uri"] is not None and step["index"] is None and steps
        space = _unescaped(found["uri"]) if named else int(step["index"] or 0)
        steps.append((space, re.sub(r"&(.)", r"\1", step["name"], flags=re.DOTALL)))
    return Path(tuple(steps))


def notifier_of(text: str) -> Where:
    """Return the object whose events `text` asks for; `ConfigError` otherwise."""
    if text.strip() == "server":
        return Address(ua.ObjectIds.Server, 0)
    return parse_where(text)


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


def uri_text(text: str, namespaces: Sequence[str]) -> str:
    """Return the text of a node id with the namespace's name for its number."""
    found = _FORM.fullmatch(text)
    index = int(found["index"] or 0) if found else 0
    if found is None or not 0 < index < len(namespaces):
        return text
    return f"nsu={_escaped(namespaces[index])};{found['sort']}={found['text']}"


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
