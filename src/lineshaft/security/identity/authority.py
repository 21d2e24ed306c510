"""The plant's certificate authority: a root, and below it the key that issues.

The root signs nothing but the issuing certificate, so it can be kept elsewhere. What
is revoked is told by a list (RFC 5280, 5) and on request (OCSP, RFC 6960).
"""

import ipaddress
from datetime import timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificatePublicKeyTypes,
)
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lineshaft.core.errors import Refused
from lineshaft.security.identity.keys import (
    HASHES,
    AnyKey,
    Key,
    new_key,
    now,
    read_certificates,
    read_key,
    weakness_of,
    write_certificates,
    write_key,
)
from lineshaft.security.identity.register import Register, State

ROOT_DAYS, ISSUING_DAYS = 3650, 1825
CRL_DAYS = 7
OCSP_MINUTES = 10
CLOCKS_DIFFER = timedelta(minutes=5)
KINDS = ("device", "service", "gateway", "app", "person", "node")
_NO_AUTHORITY = x509.BasicConstraints(ca=False, path_length=None)
_STATUS = {
    State.VALID: ocsp.OCSPCertStatus.GOOD,
    State.REVOKED: ocsp.OCSPCertStatus.REVOKED,
}
CERTIFICATE = "urn:lineshaft:certificate:"
"""Before its serial number: how a certificate, rather than its owner, is called."""
_ROOT, _ISSUING = "root", "issuing"


class Wish(msgspec.Struct, frozen=True):
    """Whom a certificate is for."""

    name: str
    """The subject that the policy speaks of."""
    kind: str
    hosts: tuple[str, ...] = ()
    """Names and addresses that it listens on."""
    days: int = 365
    application: str = ""
    """The application URI, if it is for OPC UA (IEC 62541-6, 6.2.2)."""


class Authority:
    """Issues and revokes certificates."""

    def __init__(
        self, home: Path, plant: str, register: Register, passphrase: str = ""
    ) -> None:
        """Open the authority under `home`; it is made if there is none."""
        self._home = home
        self._plant = plant
        self.register = register
        if not (home / f"{_ISSUING}.pem").exists():
            _found(home, plant, passphrase)
        self.certificate, self.root = read_certificates(home / f"{_ISSUING}.pem")[:2]
        self._key = read_key(home / f"{_ISSUING}.key", passphrase)

    @property
    def chain(self) -> list[x509.Certificate]:
        """Return the issuing certificate and the root."""
        return [self.certificate, self.root]

    @property
    def trusted(self) -> list[x509.Certificate]:
        """Return the roots that count, also those that ours is replacing."""
        file = self._home / "trusted.pem"
        older = read_certificates(file) if file.exists() else []
        return [self.root, *(each for each in older if each != self.root)]

    def issue(
        self, csr: x509.CertificateSigningRequest, wish: Wish
    ) -> x509.Certificate:
        """Return a certificate for the key of a request.

        What the request says of names is not believed: `wish` says whom it is for.
        `Refused` for a key or a hash that is too weak, or a wrong signature.
        """
        check_request(csr)
        if wish.kind not in KINDS:
            raise Refused(
                f"there is no kind {wish.kind!r}; kinds are {', '.join(KINDS)}"
            )
        begin = now() - CLOCKS_DIFFER
        end = min(
            begin + timedelta(days=wish.days), self.certificate.not_valid_after_utc
        )
        usage = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if wish.hosts:
            usage.append(ExtendedKeyUsageOID.SERVER_AUTH)
        serial = x509.random_serial_number()
        names: list[x509.GeneralName] = [
            x509.UniformResourceIdentifier(urn(self._plant, wish)),
            x509.UniformResourceIdentifier(f"{CERTIFICATE}{serial:x}"),
        ]
        if wish.application:
            # Peers look at the first URI only.
            names.insert(0, x509.UniformResourceIdentifier(wish.application))
            usage = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        names += [_general(host) for host in wish.hosts]
        public = csr.public_key()
        made = (
            x509.CertificateBuilder()
            .subject_name(_name(self._plant, wish.name))
            .issuer_name(self.certificate.subject)
            .public_key(public)
            .serial_number(serial)
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.BasicConstraints(ca=False, path_length=None), critical=True
            )
            .add_extension(_usage_of(wish), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(public), critical=False
            )
            .add_extension(_authority_id(self.certificate), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.register.keep(made, wish)
        return made

    def revoked(self) -> bytes:
        """Return the list of revoked certificates, signed now, in DER (RFC 5280, 5)."""
        begin = now()
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(begin - CLOCKS_DIFFER)
            .next_update(begin + timedelta(days=CRL_DAYS))
            .add_extension(x509.CRLNumber(int(begin.timestamp())), critical=False)
            .add_extension(_authority_id(self.certificate), critical=False)
        )
        for serial, when, reason in self.register.revoked():
            flag = x509.ReasonFlags(reason)
            entry = (
                x509.RevokedCertificateBuilder()
                .serial_number(serial)
                .revocation_date(when)
                .add_extension(x509.CRLReason(flag), critical=False)
                .build()
            )
            builder = builder.add_revoked_certificate(entry)
        made = builder.sign(self._key, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.DER)

    def answer(self, question: bytes) -> bytes:
        """Return the answer to an OCSP request, in DER, also to one that is none."""
        unknown = ocsp.OCSPResponseStatus.MALFORMED_REQUEST
        try:
            asked = ocsp.load_der_ocsp_request(question)
        except ValueError:
            return _der(ocsp.OCSPResponseBuilder.build_unsuccessful(unknown))
        found = self.register.find(asked.serial_number)
        # Only a hash of the issuer's key tells whose certificate is meant.
        digest = _key_hash(self.certificate, asked.hash_algorithm)
        if found is None or digest != asked.issuer_key_hash:
            refused = ocsp.OCSPResponseStatus.UNAUTHORIZED
            return _der(ocsp.OCSPResponseBuilder.build_unsuccessful(refused))
        certificate = x509.load_der_x509_certificate(found.der)
        begin = now()
        gone = found.state is State.REVOKED
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=certificate,
            issuer=self.certificate,
            algorithm=asked.hash_algorithm,
            cert_status=ocsp.OCSPCertStatus.REVOKED
            if gone
            else ocsp.OCSPCertStatus.GOOD,
            this_update=begin,
            next_update=begin + timedelta(minutes=OCSP_MINUTES),
            revocation_time=found.revoked_at if gone else None,
            revocation_reason=x509.ReasonFlags(found.reason) if gone else None,
        )
        builder = builder.responder_id(
            ocsp.OCSPResponderEncoding.HASH, self.certificate
        )
        for extension in asked.extensions:
            if isinstance(extension.value, x509.OCSPNonce):
                builder = builder.add_extension(extension.value, critical=False)
        return _der(builder.sign(self._key, hashes.SHA256()))


def check_request(csr: x509.CertificateSigningRequest) -> None:
    """Raise `Refused` for a request whose key, hash or signature will not do."""
    if weak := weakness_of(csr.public_key()):
        raise Refused(f"the key of the request will not do: {weak}")
    used = csr.signature_hash_algorithm
    if used is not None and not isinstance(used, HASHES):
        raise Refused(f"the request is signed with {used.name}; take SHA-256")
    if not csr.is_signature_valid:
        raise Refused("the request is not signed by the key that it is for")


def request_for(name: str, key: AnyKey) -> x509.CertificateSigningRequest:
    """Return a request for a certificate of a key."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return builder.sign(key, hashes.SHA256())


def urn(plant: str, wish: Wish) -> str:
    """Return the name of an identity that is unique everywhere (RFC 8141)."""
    words = (plant, wish.kind, wish.name)
    return "urn:lineshaft:" + ":".join(_plain(word) for word in words)


def replace(home: Path, plant: str, passphrase: str = "") -> None:
    """Make a new authority in place of a lost one; the old root stays trusted.

    What the old one issued counts until it ends or is enrolled anew, and what is issued
    from now on counts for whoever has fetched the new roots. The old files are kept
    beside, under their names with the time.
    """
    if not (home / f"{_ISSUING}.pem").exists():
        raise Refused(f"there is no authority in {home} to be replaced")
    _, root = read_certificates(home / f"{_ISSUING}.pem")[:2]
    older = home / "trusted.pem"
    known = read_certificates(older) if older.exists() else []
    stamp = now().strftime("%Y%m%dT%H%M%S")
    for file in (f"{_ROOT}.key", f"{_ISSUING}.key", f"{_ISSUING}.pem"):
        if (home / file).exists():
            (home / file).rename(home / f"{file}.{stamp}")
    _found(home, plant, passphrase)
    write_certificates(older, *dict.fromkeys([root, *known]))


def _found(home: Path, plant: str, passphrase: str) -> None:
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    root_key, key = new_key(), new_key()
    root = _authority(_name(plant, "root"), root_key, None, (root_key, ROOT_DAYS))
    issuing = _authority(_name(plant, "issuing"), key, root, (root_key, ISSUING_DAYS))
    write_key(home / f"{_ROOT}.key", root_key, passphrase)
    write_key(home / f"{_ISSUING}.key", key, passphrase)
    write_certificates(home / f"{_ISSUING}.pem", issuing, root)


def _authority(
    subject: x509.Name, key: Key, root: x509.Certificate | None, by: tuple[Key, int]
) -> x509.Certificate:
    signer, days = by
    begin = now() - CLOCKS_DIFFER
    public = key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(root.subject if root else subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
        .add_extension(
            x509.BasicConstraints(ca=True, path_length=0 if root else 1), critical=True
        )
        .add_extension(_usage(is_authority=True), critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(public), critical=False
        )
    )
    if root is not None:
        builder = builder.add_extension(_authority_id(root), critical=False)
    return builder.sign(signer, hashes.SHA256())


def _usage_of(wish: Wish) -> x509.KeyUsage:
    """Return what a key is for; OPC UA encrypts with it as well."""
    if not wish.application:
        return _usage(is_authority=False)
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_id(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    found = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    make = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier
    return make(found.value)


def _key_id(public: CertificatePublicKeyTypes) -> x509.SubjectKeyIdentifier:
    return x509.SubjectKeyIdentifier.from_public_key(public)


def _name(plant: str, common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, plant[:64] or "Lineshaft"),
            x509.NameAttribute(NameOID.COMMON_NAME, common[:64]),
        ]
    )


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _plain(word: str) -> str:
    return "".join(
        c if c.isascii() and (c.isalnum() or c in "-._@") else "-" for c in word
    )


def _key_hash(certificate: x509.Certificate, algorithm: hashes.HashAlgorithm) -> bytes:
    # The bits of the key without its header (RFC 6960, 4.1.1).
    der = certificate.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    digest = hashes.Hash(algorithm)
    digest.update(der)
    return digest.finalize()


def _der(response: ocsp.OCSPResponse) -> bytes:
    return response.public_bytes(serialization.Encoding.DER)
