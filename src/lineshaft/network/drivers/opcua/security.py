"""What a connection needs to know, and how it is protected (IEC 62541-2, 4).

The server's certificate is one that the user has named as trusted; another one ends
the connection. Nothing falls back to less protection than was asked for.
"""

from enum import StrEnum
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from asyncua import Client, ua
from asyncua.crypto import uacrypto
from asyncua.crypto.security_policies import (
    SecurityPolicyBasic256Sha256,
    SecurityPolicyNone,
)
from pydantic import BaseModel, Field, PrivateAttr, SecretStr, model_validator

from lineshaft.core.errors import ConfigError, Refused
from lineshaft.network.drivers.opcua.address import notifier_of

_SUBJECT_ALTERNATIVE_NAME = "2.5.29.17"
_LONGEST_INTERVAL_S, _LARGEST_QUEUE = 60.0, 10_000
_USER_NAME = ua.UserTokenType.UserName


class Security(StrEnum):
    """How messages are protected; with certificates it is Basic256Sha256."""

    NONE = "none"
    SIGN = "sign"
    ENCRYPT = "sign-and-encrypt"


class Settings(BaseModel, frozen=True, extra="forbid"):
    """Where the server is, how it is asked, and how the connection is protected."""

    url: str = Field(
        description="Endpoint of the server, like opc.tcp://192.168.0.9:4840."
    )
    mode: Literal["subscribe", "poll"] = Field(
        default="subscribe",
        description="subscribe: the server tells what changes. poll: every point is "
        "read once per period, for servers whose subscriptions do not work.",
    )
    publishing_interval_s: float = Field(
        default=0.1,
        gt=0,
        le=_LONGEST_INTERVAL_S,
        description="How long the server may gather changes before it sends them.",
    )
    queue_size: int = Field(
        default=10,
        ge=1,
        le=_LARGEST_QUEUE,
        description="Changes of one point that the server keeps until it sends them; "
        "the oldest is lost first, and the reading after the gap says so.",
    )
    events: tuple[str, ...] = Field(
        default=(),
        description="Objects whose events and alarms are heard, by node id or path; "
        '"server" is the Server object, which tells all of them.',
    )
    warning_from: int = Field(
        default=334,
        ge=1,
        le=1001,
        description="Events of this severity (1 to 1000) or more are warnings.",
    )
    error_from: int = Field(
        default=667,
        ge=1,
        le=1001,
        description="Events of this severity (1 to 1000) or more are errors.",
    )
    security: Security = Field(
        default=Security.NONE,
        description="none, sign or sign-and-encrypt (Basic256Sha256).",
    )
    certificate: Path | None = Field(
        default=None,
        description="Our certificate, a PEM or DER file; this and all files below are "
        "named relative to lineshaft.toml.",
    )
    private_key: Path | None = Field(
        default=None, description="The key of our certificate, a PEM or DER file."
    )
    server_certificate: Path | None = Field(
        default=None,
        description="The server's certificate, which is trusted; no other is.",
    )
    user: str = Field(default="", description="User name; empty for anonymous.")
    user_certificate: Path | None = Field(
        default=None,
        description="The user's certificate, a PEM or DER file, instead of a password.",
    )
    user_private_key: Path | None = Field(
        default=None,
        description="The key of the user's certificate, a PEM or DER file.",
    )
    password: SecretStr = Field(
        default=SecretStr(""), description="Password of the user."
    )
    allow_plain_password: bool = Field(
        default=False,
        description="Send the password even where others on the network can read it.",
    )
    namespaces: tuple[str, ...] = Field(
        default=(),
        description="Names of the server's namespaces in the order in which ns= "
        "addresses number them; without it, their order when we first connected.",
    )
    timeout_s: float = Field(
        default=5.0, gt=0, description="How long a connection or an answer may take."
    )
    # The numbers of ns= addresses mean what they meant when the configuration was
    # first used; this has to outlive a connection, and nothing else does.
    _first_namespaces: list[str] = PrivateAttr(default_factory=list)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        where = urlsplit(self.url)
        if where.scheme != "opc.tcp" or not where.hostname or not where.port:
            raise ValueError(
                f"{self.url!r} is no endpoint; write it like opc.tcp://10.0.0.9:4840"
            )
        if where.username or where.password:
            raise ValueError("url must not hold a password; use user and password")
        self._check_events()
        self._check_user()
        if self.security is not Security.NONE:
            missing = [name for name in _FILES if getattr(self, name) is None]
            if missing:
                raise ValueError(
                    f"security = {self.security.value!r} needs {', '.join(missing)}"
                )
        elif self.user and not self.allow_plain_password:
            raise ValueError(
                "the password of a user needs security = 'sign-and-encrypt'; set "
                "allow_plain_password = true if others on the network may read it"
            )
        return self

    def _check_user(self) -> None:
        pair = (self.user_certificate, self.user_private_key)
        if pair == (None, None):
            return
        if None in pair:
            raise ValueError("user_certificate and user_private_key need each other")
        if self.user:
            raise ValueError("a user has a password or a certificate, not both")
        if self.security is Security.NONE:
            raise ValueError(
                "user_certificate needs security = 'sign' or 'sign-and-encrypt', for "
                "what it signs comes from the server's certificate"
            )

    def _check_events(self) -> None:
        if self.warning_from > self.error_from:
            raise ValueError("warning_from must not be more than error_from")
        for address in self.events:
            try:
                notifier_of(address)
            except ConfigError as error:
                raise ValueError(f"events: {error}") from error

    def password_text(self) -> str | None:
        """Return the password to send, if there is a user."""
        return self.password.get_secret_value() if self.user else None

    def remember(self, namespaces: tuple[str, ...]) -> tuple[str, ...]:
        """Return the namespaces whose numbers `ns=` addresses mean."""
        if self.namespaces:
            return self.namespaces
        if not self._first_namespaces:
            self._first_namespaces.extend(namespaces)
        return tuple(self._first_namespaces)


_FILES = ("certificate", "private_key", "server_certificate")
_MODES = {
    Security.SIGN: ua.MessageSecurityMode.Sign,
    Security.ENCRYPT: ua.MessageSecurityMode.SignAndEncrypt,
}


async def secure(client: Client, settings: Settings) -> None:
    """Give the client its certificates; `Refused` names a file that is no use."""
    if settings.security is Security.NONE:
        return
    loaded: list[uacrypto.CertProperties] = []
    for name in _FILES:
        path: Path = getattr(settings, name)
        loaded.append(_load(name, path))
    ours, key, theirs = loaded
    try:
        certificate = await uacrypto.load_certificate(
            ours.path_or_content, ours.extension
        )
        client.application_uri = _application_uri(settings, certificate.extensions)
        await client.set_security(
            SecurityPolicyBasic256Sha256,
            ours,
            key,
            server_certificate=theirs,
            mode=_MODES[settings.security],
        )
    except (ValueError, TypeError) as error:
        raise Refused(
            f"certificate, private_key or server_certificate of {settings.url} cannot "
            f"be used: {error}; each has to be a PEM or DER file"
        ) from error


async def user_of(
    client: Client, settings: Settings
) -> uacrypto.x509.Certificate | None:
    """Return the user's certificate and give the client its key, if there is one.

    `Refused` names a file that is no use.
    """
    if settings.user_certificate is None or settings.user_private_key is None:
        return None
    ours = _load("user_certificate", settings.user_certificate)
    key = _load("user_private_key", settings.user_private_key)
    try:
        client.user_private_key = await uacrypto.load_private_key(
            key.path_or_content, None, key.extension
        )
        return await uacrypto.load_certificate(ours.path_or_content, ours.extension)
    except (ValueError, TypeError) as error:
        raise Refused(
            f"user_certificate or user_private_key of {settings.url} cannot be used: "
            f"{error}; each has to be a PEM or DER file"
        ) from error


def _load(name: str, path: Path) -> uacrypto.CertProperties:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Refused(f"{name}: {path} cannot be read: {error.strerror}") from error
    form = "pem" if content.lstrip().startswith(b"-----BEGIN") else "der"
    return uacrypto.CertProperties(content, form)


def _application_uri(settings: Settings, extensions: uacrypto.x509.Extensions) -> str:
    """Return the URI in our certificate, which servers compare with what we say."""
    for extension in extensions:
        if extension.oid.dotted_string == _SUBJECT_ALTERNATIVE_NAME:
            kind = uacrypto.x509.UniformResourceIdentifier
            for uri in extension.value.get_values_for_type(kind):
                return str(uri)
    raise Refused(
        f"certificate: {settings.certificate} has no URI among its subject alternative "
        "names; OPC UA needs one, like URI:urn:lineshaft:press-line"
    )


def check_password(client: Client, settings: Settings) -> None:
    """Stop before a password is sent so that others can read it."""
    if not settings.user or settings.allow_plain_password:
        return
    policy = client.server_policy(_USER_NAME)
    sealed = policy.SecurityPolicyUri != SecurityPolicyNone.URI
    if not sealed and settings.security is not Security.ENCRYPT:
        raise Refused(
            f"{settings.url} wants the password in the clear; use security = "
            "'sign-and-encrypt', or set allow_plain_password = true"
        )
