"""Which TCP ports of this machine are taken, and by whom."""

import socket

from lineshaft.core.process.census import listener_on


def holder_of(port: int) -> str:
    """Return who listens on the port, like `nats-server (pid 812, user opc)`.

    Programs of other users can be hidden from us: then it is `another program`.
    """
    return listener_on(port) or "another program"


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now; port 0 always is."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def taken(port: int, key: str) -> str:
    """Return the sentence for a port that is taken; `key` is its setting."""
    return (
        f"port {port} is used by {holder_of(port)}; stop that program or choose "
        f"another port with {key} in lineshaft.toml (0 takes any free one)"
    )
