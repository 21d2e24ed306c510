"""Keys and certificates in files, and which kinds of them are taken."""

from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from lineshaft.core.errors import Refused
from lineshaft.security.kept import create_private, write_private

__all__ = [
    "AnyKey",
    "Encoding",
    "Key",
    "fingerprint",
    "new_key",
    "new_rsa_key",
    "now",
    "read_certificates",
    "read_key",
    "weakness_of",
    "write_certificates",
    "write_key",
]
CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
SMALLEST_RSA = 3072
HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
Key = ec.EllipticCurvePrivateKey
AnyKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def new_key() -> Key:
    """Return a new key: EC on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def new_rsa_key() -> rsa.RSAPrivateKey:
    """Return a new RSA key of 3072 bits, for peers that know no curves."""
    return rsa.generate_private_key(public_exponent=65537, key_size=SMALLEST_RSA)


def weakness_of(key: object) -> str:
    """Return why a public key is not taken; empty if it is."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        known = isinstance(key.curve, CURVES)
        return "" if known else f"its curve is {key.curve.name}; take P-256"
    if isinstance(key, rsa.RSAPublicKey):
        strong = key.key_size >= SMALLEST_RSA
        return "" if strong else f"RSA of {key.key_size} bits; take {SMALLEST_RSA}"
    if isinstance(key, ed25519.Ed25519PublicKey):
        return ""
    return f"a key of the kind {type(key).__name__} is not taken"


def write_key(file: Path, key: AnyKey, passphrase: str = "") -> None:
    """Write a key for us alone: nobody else can read it at any moment.

    `Refused` if there is a file already.
    """
    kind: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        kind = serialization.BestAvailableEncryption(passphrase.encode())
    data = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, kind
    )
    try:
        create_private(file, data)
    except FileExistsError as error:
        raise Refused(f"there is a key in {file} already; move it away") from error


def read_key(file: Path, passphrase: str = "") -> Key:
    """Return the key in a file; `Refused` if it is none, or others can read it."""
    try:
        data = file.read_bytes()
        mode = file.stat().st_mode & 0o077
        if mode:
            raise Refused(
                f"others can read the key in {file}: run `chmod 600` on it, and think "
                "about whether to replace it"
            )
        secret = passphrase.encode() or None
        key = serialization.load_pem_private_key(data, secret)
    except (OSError, ValueError, TypeError) as error:
        raise Refused(f"{file} holds no key that can be read: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Refused(f"{file} holds a key of another kind than EC")
    return key


def write_certificates(file: Path, *certificates: x509.Certificate) -> None:
    """Write certificates in PEM, so that there is never half a file."""
    data = b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)
    write_private(file, data)


def read_certificates(file: Path) -> list[x509.Certificate]:
    """Return the certificates in a PEM file; `Refused` if there are none."""
    try:
        return x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError) as error:
        raise Refused(f"{file} holds no certificates: {error}") from error


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate in hexadecimal, as people compare it."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def now() -> datetime:
    """Return this moment."""
    return datetime.now(UTC)
