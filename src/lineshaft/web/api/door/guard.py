"""Who may talk to us: only under our own names, and only pages of our own.

A page of another site that a browser on this machine shows could otherwise reach us
under a name that it controls (DNS rebinding), or send us a form.
"""

from collections.abc import Container
from urllib.parse import urlsplit

from lineshaft.core.errors import Denied
from lineshaft.web.api.problems import BadParameter

OWN_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


def check_host(host: str, more: Container[str] = ()) -> None:
    """Raise `Denied` unless the Host header (RFC 9110, 7.2) is one of our names.

    `more` are names beside those of this machine.
    """
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        name = None
    if name not in OWN_NAMES and (name is None or name not in more):
        raise Denied(
            f"the address {host[:80]!r} is not one under which this plant is served; "
            "open it as http://127.0.0.1 with its port, or add the name to web.names"
        )


def check_origin(origin: str | None, host: str) -> None:
    """Raise `Denied` when a page of another origin asks (RFC 6454); none is fine."""
    if origin is not None and origin not in {f"http://{host}", f"https://{host}"}:
        raise Denied(f"the page of {origin[:80]!r} may not change or follow this plant")


def check_json(content_type: str) -> None:
    """Raise `BadParameter` for what a form of any page could send without asking."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise BadParameter("send the body with the content-type application/json")
