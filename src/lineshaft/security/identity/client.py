"""Getting a certificate from a plant: what a machine or another node does."""

import http.client
import os
import ssl
from base64 import b64encode
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lineshaft.core.errors import ConfigError, Denied, Refused, Unreachable
from lineshaft.security.identity.authority import request_for
from lineshaft.security.identity.est import ROOT
from lineshaft.security.identity.est import read_certificates as unpack
from lineshaft.security.identity.keys import (
    Key,
    fingerprint,
    new_key,
    read_certificates,
    read_key,
    write_certificates,
    write_key,
)
from lineshaft.security.identity.tls import client_context

WITHIN_S = 20.0
CERTIFICATE, KEY, ROOTS = "certificate.pem", "key.pem", "trusted.pem"
LARGEST = 1 << 18


def fetch_roots(url: str, wanted: str) -> list[x509.Certificate]:
    """Return the roots of a plant; one must have the SHA-256 that was told beforehand.

    `Denied` if none has: then whoever answers is not whom we were told of.
    """
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
    found = unpack(_ask(url, ("GET", "cacerts"), blind))
    plain = wanted.replace(":", "").strip().lower()
    if not any(fingerprint(each) == plain for each in found):
        raise Denied(
            f"whoever answers at {url} is not the plant with the fingerprint {wanted}: "
            "compare it with `lineshaft trust show` there; if it differs, do not go on"
        )
    roots = [each for each in found if each.subject == each.issuer]
    return [each for each in roots if fingerprint(each) == plain] or roots


def enrol(url: str, login: tuple[str, str], wanted: str, home: Path) -> Path:
    """Make a key in `home`, get its certificate with a code, and trust the plant.

    `login` is the name and the code. Returns the file of the certificate.
    """
    if (home / KEY).exists():
        raise Refused(
            f"there is an identity in {home} already; `lineshaft enrol --renew`"
        )
    roots, key = fetch_roots(url, wanted), new_key()
    coded = b64encode(":".join(login).encode()).decode()
    body = _body(login[0], key)
    answer = _ask(
        url, ("POST", "simpleenroll"), client_context(roots), body, f"Basic {coded}"
    )
    _keep(home, key, unpack(answer), url, roots)
    return home / CERTIFICATE


def renew(url: str, home: Path) -> Path:
    """Get another certificate for a new key, by showing the present one."""
    roots = read_certificates(home / ROOTS)
    mine = read_certificates(home / CERTIFICATE)[0]
    new = home / f"{KEY}.new"
    if new.exists() and read_key(new).public_key() == mine.public_key():
        os.replace(new, home / KEY)  # noqa: PTH105  we were stopped at the last step
    [said] = mine.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    context = client_context(roots, (home / CERTIFICATE, home / KEY))
    key = new_key()
    body = _body(str(said.value), key)
    answer = _ask(url, ("POST", "simplereenroll"), context, body)
    fresh = unpack(_ask(url, ("GET", "cacerts"), client_context(roots)))
    roots = list(dict.fromkeys([*roots, *(c for c in fresh if c.subject == c.issuer)]))
    _keep(home, key, unpack(answer), url, roots)
    return home / CERTIFICATE


def _keep(
    home: Path,
    key: Key,
    made: list[x509.Certificate],
    url: str,
    roots: list[x509.Certificate],
) -> None:
    if not made or made[0].public_key() != key.public_key():
        raise Refused(f"{url} gave a certificate for another key; nothing was kept")
    issuing = unpack(_ask(url, ("GET", "cacerts"), client_context(roots)))
    chain = [c for c in issuing if c.subject != c.issuer]
    new = home / f"{KEY}.new"
    new.unlink(missing_ok=True)
    write_key(new, key)
    write_certificates(home / ROOTS, *roots)
    write_certificates(home / CERTIFICATE, made[0], *chain)
    os.replace(new, home / KEY)  # noqa: PTH105  the file may be there


def _body(name: str, key: Key) -> bytes:
    return b64encode(request_for(name, key).public_bytes(serialization.Encoding.DER))


def _ask(
    url: str,
    what: tuple[str, str],
    context: ssl.SSLContext,
    body: bytes | None = None,
    login: str = "",
) -> bytes:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise ConfigError(
            f"{url!r} is no address of a plant, such as https://plant:8085"
        )
    headers = {"Content-Type": "application/pkcs10"} if body else {}
    headers |= {"Authorization": login} if login else {}
    line = http.client.HTTPSConnection(
        parts.hostname, parts.port or 443, context=context, timeout=WITHIN_S
    )
    try:
        line.request(what[0], ROOT + what[1], body, headers)
        answer = line.getresponse()
        data = answer.read(LARGEST)
    except ssl.SSLCertVerificationError as error:
        raise Denied(
            f"the certificate of {url} does not count: {error.verify_message}. Is the "
            "clock right, and is this name in [identity] names of the plant?"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{url} does not answer as it should: {error}") from error
    finally:
        line.close()
    told = data[:500].decode(errors="replace").strip()
    if answer.status in (401, 403):
        raise Denied(f"{url}: {told}. A code works once, for its name, within its time")
    if answer.status != http.client.OK:
        raise Refused(f"{url} answers {answer.status}: {told}")
    return data
