"""What a TLS handshake shows: who is there, and whether that can be believed.

Only this file of the command line imports cryptography.
"""

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from lineshaft.core.errors import ConfigError, Denied, Refused, Unreachable

SOON = timedelta(days=30)
_FEWEST_BITS = 2048
_SHAKES_S, _LISTENS_S = 5.0, 0.3
"""With TLS 1.3 a server that wants a certificate says so after the handshake."""
_NO_TLS = {
    "WRONG_VERSION_NUMBER",
    "UNEXPECTED_EOF_WHILE_READING",
    "RECORD_LAYER_FAILURE",
}
_WANTS_CERTIFICATE = "CERTIFICATE_REQUIRED"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen, in words, and what to do if it is not quite well."""

    text: str
    warning: str = ""


def look(certificate: bytes) -> Seen:
    """Return what a certificate (DER) says of itself.

    `Refused` when these bytes are none, or its time has not come or is over.
    """
    try:
        found = x509.load_der_x509_certificate(certificate)
        who, by = _name(found.subject), _name(found.issuer)
        begin, end = found.not_valid_before_utc, found.not_valid_after_utc
    except ValueError as error:
        raise Refused(f"what it calls its certificate is none: {error}") from error
    now = datetime.now(UTC)
    signed = "itself" if who == by else by
    text = f"{who}, signed by {signed}, valid until {end:%Y-%m-%d}"
    if now < begin:
        raise Refused(
            f"the certificate of {who} is valid from {begin:%Y-%m-%d %H:%M} UTC on; is "
            f"the clock of this machine right ({now:%Y-%m-%d %H:%M} UTC)?"
        )
    if now > end:
        raise Refused(
            f"the certificate of {who} ended on {end:%Y-%m-%d}; renew it, or set the "
            f"clock of this machine ({now:%Y-%m-%d} UTC) if that is wrong"
        )
    if end - now < SOON:
        days = (end - now).days
        return Seen(text, f"renew the certificate: it ends in {days} days")
    return Seen(text, _weakness(found))


def _weakness(found: x509.Certificate) -> str:
    key = found.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _FEWEST_BITS:
        return f"its key has {key.key_size} bits only; make one of 2048 or more"
    known = (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey)
    return "" if isinstance(key, known) else "its key is of an unusual kind"


def _name(name: x509.Name) -> str:
    common = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(common[0].value) if common else name.rfc4514_string() or "nobody"


async def shake_hands(host: str, port: int, authorities: str) -> Seen:
    """Shake hands, first with whoever is there, then only with whom we trust.

    `authorities` is a PEM file, or empty for those of this system. `Unreachable` when
    no TLS is spoken there, `Refused` when the certificate cannot be believed, `Denied`
    when a certificate of ours is wanted, `ConfigError` for a wrong file.
    """
    try:
        trusting = ssl.create_default_context(cafile=authorities or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{authorities} holds no certificates: {error}") from error
    anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    protocol, certificate = await _meet(host, port, anyone)
    seen = look(certificate)
    await _meet(host, port, trusting)
    return Seen(f"{protocol} with {seen.text}", seen.warning)


async def _meet(host: str, port: int, context: ssl.SSLContext) -> tuple[str, bytes]:
    where = f"{host}:{port}"
    try:
        async with asyncio.timeout(_SHAKES_S):
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
    except TimeoutError as error:
        raise Unreachable(
            f"{where} takes connections, and says nothing for {_SHAKES_S:.0f} s; is "
            "TLS spoken at this port?"
        ) from error
    except ssl.SSLCertVerificationError as error:
        raise Refused(_distrust(where, error)) from error
    except (ssl.SSLError, ConnectionError, asyncio.IncompleteReadError) as error:
        raise _other(where, error) from error
    try:
        told = writer.get_extra_info("ssl_object")
        with suppress(TimeoutError):
            async with asyncio.timeout(_LISTENS_S):
                await reader.read(1)
        cipher = told.cipher()
        protocol = f"{told.version()}, {cipher[0]}" if cipher else f"{told.version()}"
        return protocol, told.getpeercert(binary_form=True) or b""
    except (ssl.SSLError, ConnectionError) as error:
        raise _other(where, error) from error
    finally:
        writer.close()
        with suppress(ssl.SSLError, OSError):
            await writer.wait_closed()


def _other(where: str, error: Exception) -> Unreachable | Denied:
    reason = getattr(error, "reason", None) or str(error)
    if _WANTS_CERTIFICATE in reason or "HANDSHAKE_FAILURE" in reason:
        return Denied(
            f"{where} ends the handshake ({reason}): it wants a certificate of ours; "
            "set certificate and private_key in the table of the device"
        )
    if reason in _NO_TLS or not isinstance(error, ssl.SSLError):
        return Unreachable(
            f"{where} takes connections, but speaks no TLS; use the address without "
            "encryption only if nobody else can listen, or its port for TLS"
        )
    return Unreachable(f"{where} and we found no common TLS: {reason}")


def _distrust(where: str, error: ssl.SSLCertVerificationError) -> str:
    said = error.verify_message
    if "self-signed" in said or "issuer certificate" in said:
        do = "name the certificate of its authority: ?ca_file=FILE"
        return f"nobody we trust has signed the certificate of {where} ({said}); {do}"
    return f"the certificate of {where} is not for this name: {said}"
