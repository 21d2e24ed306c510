"""What the driver needs to know of a broker."""

import hashlib
import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, SecretStr, model_validator

from lineshaft.core.errors import ConfigError
from lineshaft.core.process.loopback import is_loopback
from lineshaft.network.drivers.mqtt.connection import Broker, tls_context
from lineshaft.network.drivers.mqtt.path import parse_path

PROTOCOL_LEVELS = {"3.1.1": 4, "5": 5}


class Sparkplug(BaseModel, frozen=True, extra="forbid"):
    """How we appear to Sparkplug edge nodes."""

    host_id: str = Field(
        default="",
        pattern=r"^[^/+#]*$",
        description="Our identifier as a primary host application; with it, "
        "spBv1.0/STATE/<host_id> says whether we are online. Empty for none.",
    )
    groups: tuple[str, ...] = Field(
        default=(),
        description="Groups to listen to; + for all; empty for those of the points.",
    )
    rebirth: bool = Field(
        default=True,
        description="Ask an edge node for its births when they are unknown or a "
        "message was lost.",
    )


class Settings(BaseModel, frozen=True, extra="forbid"):
    """Where the broker is, and how to speak with it."""

    host: str = Field(description="IP address or host name of the broker.")
    port: int = Field(default=1883, ge=1, le=65_535, description="TCP port.")
    timeout_s: float = Field(
        default=5.0,
        gt=0,
        description="How long a connection, an answer or a birth may take.",
    )
    client_id: str = Field(
        default="",
        max_length=200,
        description="Our name at the broker, where no two may be equal; made from "
        "this computer's name and the point list if left empty.",
    )
    protocol: Literal["3.1.1", "5"] = Field(
        default="3.1.1", description="Version of MQTT."
    )
    user: str = Field(default="", description="User name, if the broker wants one.")
    password: SecretStr = Field(default=SecretStr(""), description="Password.")
    allow_plain_password: bool = Field(
        default=False,
        description="Send the password over a network that anybody can listen to.",
    )
    tls: bool = Field(default=False, description="Encrypt the connection (TLS).")
    ca_file: Path | None = Field(
        default=None,
        description="Certificates of authorities to trust (PEM) instead of the "
        "system's, named relative to lineshaft.toml; it turns TLS on.",
    )
    certificate: Path | None = Field(
        default=None,
        description="Our own certificate (PEM), named relative to lineshaft.toml; it "
        "turns TLS on.",
    )
    private_key: Path | None = Field(
        default=None, description="The key of our certificate, named likewise."
    )
    time_path: str = Field(
        default="",
        description="Where JSON payloads tell their time (ISO 8601, or a number since "
        "1970 in s, ms, us or ns); empty: the time of arrival counts.",
    )
    sparkplug: Sparkplug = Field(
        default=Sparkplug(), description="How we appear to Sparkplug edge nodes."
    )

    @property
    def encrypts(self) -> bool:
        """Return whether the connection is encrypted."""
        return self.tls or bool(self.ca_file or self.certificate)

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_path(self.time_path)
        plain = not self.encrypts and not self.allow_plain_password
        if self.password.get_secret_value() and plain and not is_loopback(self.host):
            raise ValueError(
                f"the password would travel to {self.host} for all to read; set tls = "
                "true (and ca_file), or allow_plain_password = true if you accept that"
            )
        if self.private_key and not self.certificate:
            raise ValueError("private_key needs the certificate that it belongs to")
        return self

    def broker(self, role: str, addresses: Sequence[str]) -> Broker:
        """Return the broker, and who we are to it with these addresses."""
        name = f"{self.client_id}-{role}" if self.client_id and role else self.client_id
        named = (self.ca_file, self.certificate, self.private_key)
        files = [str(file) if file else "" for file in named]
        return Broker(
            host=self.host,
            port=self.port,
            client_id=name or _stable_id(role, *addresses),
            timeout_s=self.timeout_s,
            user=self.user,
            password=self.password.get_secret_value(),
            tls=tls_context(*files) if self.encrypts else None,
            version=PROTOCOL_LEVELS[self.protocol],
        )


def _stable_id(*words: str) -> str:
    """Return the same 22 characters each time; brokers of 3.1.1 may refuse over 23."""
    text = json.dumps([socket.gethostname(), *words])
    return "lineshaft-" + hashlib.sha256(text.encode()).hexdigest()[:12]


def _check_path(text: str) -> None:
    try:
        parse_path(text or "any")
    except ConfigError as error:
        raise ValueError(f"time_path: {error}") from error
