"""Which user of this machine is at the other end of a connection on loopback.

The kernel knows, and tells it to everybody (Linux, sock_diag(7)); where it does not,
nobody is recognised.
"""

import contextlib
import socket
import struct
import sys
from collections.abc import Iterator

Address = tuple[str, int]
_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY = 4, 20
_REQUEST, _ERROR = 1, 2
_ESTABLISHED = 1
_HEADER = struct.Struct("=IHHII")
_QUESTION = struct.Struct("=BBBBI")
_PORTS = struct.Struct("!HH")
_ANY_COOKIE = b"\xff" * 8
_STATE_AT, _UID_AT, _INODE_AT = 1, 64, 68
"""Where they stand in an inet_diag_msg."""


class Peers:
    """Asks the kernel who opened a connection; about 20 microseconds each time."""

    def __init__(self, connection: socket.socket | None) -> None:
        self._connection = connection

    def uid(self, ours: Address, theirs: Address) -> int | None:
        """Return the user id of whoever opened the connection from `theirs` to `ours`.

        None if that is not a program on this machine, or nobody knows. It is not to be
        remembered: the port may belong to another user's program a moment later.
        """
        if self._connection is None:
            return None
        try:
            self._connection.send(_question(ours, theirs))
            said = self._connection.recv(1 << 12)
        except OSError:
            return None
        return _uid_in(said)


@contextlib.contextmanager
def open_peers() -> Iterator[Peers]:
    """Open the way to the kernel; where there is none, nobody is recognised."""
    if not sys.platform.startswith("linux"):
        yield Peers(None)
        return
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
    try:
        connection = socket.socket(socket.AF_NETLINK, kind, _NETLINK_SOCK_DIAG)
    except OSError:
        yield Peers(None)
        return
    with connection:
        # It answers before `send` returns; this is for a kernel that never does.
        connection.settimeout(0.5)
        yield Peers(connection)


def _question(ours: Address, theirs: Address) -> bytes:
    family = socket.AF_INET6 if ":" in theirs[0] else socket.AF_INET
    addresses = [
        socket.inet_pton(family, host).ljust(16, b"\0") for host, _ in (theirs, ours)
    ]
    ends = _PORTS.pack(theirs[1], ours[1]) + b"".join(addresses)
    whom = ends + struct.pack("=I", 0) + _ANY_COOKIE
    asked = _QUESTION.pack(family, socket.IPPROTO_TCP, 0, 0, 1 << _ESTABLISHED) + whom
    size = _HEADER.size + len(asked)
    return _HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _REQUEST, 1, 0) + asked


def _uid_in(said: bytes) -> int | None:
    if len(said) < _HEADER.size + _INODE_AT + 4:
        return None
    _, kind, _, _, _ = _HEADER.unpack_from(said)
    found = said[_HEADER.size :]
    if kind != _SOCK_DIAG_BY_FAMILY or found[_STATE_AT] != _ESTABLISHED:
        return None
    uid, inode = struct.unpack_from("=II", found, _UID_AT)
    # A socket that its program has closed belongs to nobody, which reads as root.
    return int(uid) if inode else None
