"""TLS as we speak it: 1.3, with certificates of the plant's own authority."""

import ssl
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from lineshaft.core.errors import Denied
from lineshaft.security.identity.keys import fingerprint, now, weakness_of
from lineshaft.security.identity.register import Issued, Register, State


def server_context(
    files: tuple[Path, Path], roots: Iterable[x509.Certificate]
) -> ssl.SSLContext:
    """Return how we listen; `files` hold our certificates and key.

    `roots` may have issuing certificates among them, for who shows only its own.
    Whoever has a certificate of ours may show it; who it is, `check_peer` tells.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(*files)
    context.load_verify_locations(cadata=pem(roots))
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def client_context(
    roots: Iterable[x509.Certificate], files: tuple[Path, Path] | None = None
) -> ssl.SSLContext:
    """Return how we call whom these roots vouch for; `files` are shown if asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=pem(roots))
    if files:
        context.load_cert_chain(*files)
    return context


def check_peer(
    der: bytes, issuing: list[x509.Certificate], register: Register
) -> Issued:
    """Return whose certificate a peer has shown.

    `Denied` if it is not one of ours, begins later or is over, was revoked, is not for
    this use, or has a key that is not taken; what is wrong is told to nobody outside.
    """
    try:
        shown = x509.load_der_x509_certificate(der)
        key, usage = shown.public_key(), shown.extensions
        uses = usage.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension) as error:
        raise Denied("what was shown is no certificate that we issue") from error
    if weak := weakness_of(key):
        raise Denied(f"the key of the certificate is not taken: {weak}")
    if ExtendedKeyUsageOID.CLIENT_AUTH not in uses:
        raise Denied("the certificate is not for clients")
    try:
        verifier = (
            PolicyBuilder()
            .store(Store(issuing[-1:]))
            .time(now())
            .build_client_verifier()
        )
        verifier.verify(shown, issuing[:-1])
    except (VerificationError, ValueError) as error:
        raise Denied(f"the certificate does not count: {error}") from error
    known = register.by_fingerprint(fingerprint(shown))
    if known is None:
        raise Denied("the certificate is not in the register")
    if known.state is not State.VALID:
        raise Denied(f"the certificate of {known.name} was revoked")
    return known


def pem(certificates: Iterable[x509.Certificate]) -> str:
    """Return certificates as text."""
    kind = serialization.Encoding.PEM
    return "".join(each.public_bytes(kind).decode() for each in certificates)
