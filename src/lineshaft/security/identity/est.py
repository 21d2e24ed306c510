"""Enrolment over Secure Transport (RFC 7030): what is asked, and what is answered.

It knows no sockets: a request goes in, an answer comes out.
"""

import binascii
import time
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Mapping

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from lineshaft.core.bus.audit import AuditRecord, Result
from lineshaft.core.errors import Denied, Refused
from lineshaft.security.identity.authority import Authority, Wish, check_request
from lineshaft.security.identity.keys import now
from lineshaft.security.identity.register import Issued
from lineshaft.security.identity.settings import Settings
from lineshaft.security.identity.tls import check_peer
from lineshaft.security.people.throttle import Throttle

ROOT = "/.well-known/est/"
LARGEST = 1 << 16
_ATTRIBUTES = bytes.fromhex(
    "3021301506072a8648ce3d0201310a06082a8648ce3d03010706082a8648ce3d040302"
)
"""A key on P-256, and ECDSA with SHA-256 (RFC 7030, 4.5.2)."""
_CERTIFICATES = "application/pkcs7-mime; smime-type=certs-only"
Tell = Callable[[AuditRecord], Awaitable[None]]


class Ask(msgspec.Struct, frozen=True):
    """A request."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in small letters."""
    body: bytes
    address: str
    shown: bytes | None = None
    """The certificate that was shown, in DER."""


class Reply(msgspec.Struct, frozen=True):
    """An answer."""

    status: int
    media: str = "text/plain; charset=utf-8"
    body: bytes = b""
    headers: dict[str, str] = {}


class Enrolment:
    """Answers requests for certificates, and about what counts no more."""

    def __init__(self, authority: Authority, settings: Settings, tell: Tell) -> None:
        self._authority = authority
        self._settings = settings
        self._tell = tell
        self._throttle = Throttle()

    async def answer(self, ask: Ask) -> Reply:
        """Return the answer to any request; it raises nothing of what is asked."""
        path = ask.path.partition("?")[0]
        name = path.removeprefix(ROOT) if path.startswith(ROOT) else path
        known = {
            "cacerts": ("GET", self._roots),
            "csrattrs": ("GET", self._attributes),
            "simpleenroll": ("POST", self._enrol),
            "simplereenroll": ("POST", self._renew),
            "/crl": ("GET", self._revoked),
            "/ocsp": ("POST", self._status),
        }
        if name not in known:
            return _said(404, "there is nothing here; RFC 7030 tells what there is")
        method, act = known[name]
        if ask.method != method:
            return Reply(405, headers={"Allow": method})
        try:
            return await act(ask)
        except Denied as error:
            await self._refused(ask, str(error))
            # Not why: whoever guesses must learn nothing.
            return _said(401, "who asks could not prove to be the one it is for")
        except Refused as error:
            await self._refused(ask, str(error))
            return _said(400, str(error))

    async def _roots(self, _: Ask) -> Reply:
        return _certificates([self._authority.certificate, *self._authority.trusted])

    async def _attributes(self, _: Ask) -> Reply:
        return Reply(200, "application/csrattrs", b64encode(_ATTRIBUTES), _BASE64)

    async def _enrol(self, ask: Ask) -> Reply:
        """Give a first certificate for a code, or another for one that counts."""
        if ask.shown is not None and "authorization" not in ask.headers:
            return await self._renew(ask)
        csr = _request(ask)
        check_request(csr)
        name, code = _login(ask.headers.get("authorization", ""))
        keys = (f"address {ask.address}", f"name {name[:100]}")
        if (wait_s := self._throttle.wait_s(keys, time.monotonic())) > 0:
            after = {"Retry-After": str(int(wait_s) + 1)}
            return Reply(429, body=b"too many wrong codes; wait", headers=after)
        invited = self._authority.register.use(name, code, now()) if code else None
        if invited is None:
            if code:
                self._throttle.failed(keys, time.monotonic())
            raise Denied(f"no code that counts was sent for {name[:100]!r}")
        wish = Wish(
            invited.name, invited.kind, invited.hosts, self._settings.device_days
        )
        return await self._give(csr, wish, "identity.enrolled", ask)

    async def _renew(self, ask: Ask) -> Reply:
        """Give another certificate to whoever shows one that counts."""
        if ask.shown is None:
            raise Denied("no certificate was shown")
        authority = self._authority
        issued = check_peer(ask.shown, authority.chain, authority.register)
        csr = _request(ask)
        said = csr.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        if said and said[0].value != issued.name:
            raise Refused(
                f"the request is for {str(said[0].value)[:100]!r}, and the certificate "
                f"shown is of {issued.name!r}: names do not change (RFC 7030, 4.2.2)"
            )
        wish = Wish(
            issued.name, issued.kind, _hosts(issued), self._settings.device_days
        )
        return await self._give(csr, wish, "identity.renewed", ask)

    async def _give(
        self, csr: x509.CertificateSigningRequest, wish: Wish, kind: str, ask: Ask
    ) -> Reply:
        made = self._authority.issue(csr, wish)
        await self._tell(
            AuditRecord(
                kind=kind,
                who=wish.name,
                name=f"{wish.kind} {made.serial_number:x}",
                origin=ask.address,
            )
        )
        return _certificates([made])

    async def _revoked(self, _: Ask) -> Reply:
        return Reply(200, "application/pkix-crl", self._authority.revoked())

    async def _status(self, ask: Ask) -> Reply:
        answer = self._authority.answer(ask.body)
        return Reply(200, "application/ocsp-response", answer)

    async def _refused(self, ask: Ask, why: str) -> None:
        await self._tell(
            AuditRecord(
                kind="identity.refused",
                who="",
                name=ask.path[:200],
                result=Result.DENIED,
                text=why,
                origin=ask.address,
            )
        )


_BASE64 = {"Content-Transfer-Encoding": "base64"}


def read_certificates(body: bytes) -> list[x509.Certificate]:
    """Return the certificates of an answer; `Refused` if there are none."""
    try:
        return pkcs7.load_der_pkcs7_certificates(b64decode(body))
    except ValueError as error:
        raise Refused("the answer holds no certificates") from error


def _certificates(found: list[x509.Certificate]) -> Reply:
    data = pkcs7.serialize_certificates(found, serialization.Encoding.DER)
    coded = b64encode(data)
    lines = [coded[at : at + 64] for at in range(0, len(coded), 64)]
    return Reply(200, _CERTIFICATES, b"\n".join(lines) + b"\n", _BASE64)


def _request(ask: Ask) -> x509.CertificateSigningRequest:
    """Return the request for a certificate in a body (RFC 7030, 4.2.1)."""
    media = ask.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/pkcs10":
        raise Refused("send the request as application/pkcs10")
    body = ask.body
    try:
        if body.lstrip().startswith(b"-----BEGIN"):
            return x509.load_pem_x509_csr(body)
        der = body if body.startswith(b"\x30") else b64decode(body, validate=False)
        return x509.load_der_x509_csr(der)
    except (ValueError, binascii.Error) as error:
        raise Refused("the body is no request for a certificate (PKCS #10)") from error


def _login(header: str) -> tuple[str, str]:
    """Return the name and the code of a Basic login (RFC 7617); empty if it is none."""
    scheme, _, coded = header.partition(" ")
    if scheme.casefold() != "basic":
        return "", ""
    try:
        name, _, code = b64decode(coded, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return name, code


def _hosts(issued: Issued) -> tuple[str, ...]:
    certificate = x509.load_der_x509_certificate(issued.der)
    kind = x509.SubjectAlternativeName
    names = certificate.extensions.get_extension_for_class(kind).value
    addresses = [str(each) for each in names.get_values_for_type(x509.IPAddress)]
    return (*names.get_values_for_type(x509.DNSName), *addresses)


def _said(status: int, text: str) -> Reply:
    headers = {"WWW-Authenticate": 'Basic realm="enrolment"'} if status == 401 else {}  # noqa: PLR2004  RFC 9110
    return Reply(status, body=text.encode() + b"\n", headers=headers)
