"""Which addresses lead to this machine only."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether the address, or the name localhost, leads to this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def loopback(host: str) -> str:
    """Return an address to listen on; `ValueError` unless it is a loopback one."""
    if host != "localhost" and is_loopback(host):
        return host
    raise ValueError(
        "is not a loopback address; people and encryption come with a later version, "
        "until then reach it from afar through an SSH tunnel"
    )
