"""Where the page and the API are served."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, model_validator

from lineshaft.core.process.loopback import is_loopback


class Settings(BaseModel, frozen=True, extra="forbid"):
    """The table `[web]` of lineshaft.toml."""

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on; one that is not loopback needs tls.",
    )
    port: int = Field(
        default=8080, ge=0, le=65535, description="Port; 0 takes any free one."
    )
    tls: bool = Field(
        default=False,
        description="Serve HTTPS (TLS 1.3), with a certificate of the plant's own "
        "authority for identity.names, or with certificate and key.",
    )
    certificate: Path | None = Field(
        default=None,
        description="Certificates of your own in PEM, beside lineshaft.toml or with "
        "its whole path; the first is that of this server.",
    )
    key: Path | None = Field(
        default=None, description="Their key in PEM, readable for the plant's user."
    )
    names: tuple[str, ...] = Field(
        default=(),
        description="More names under which the page is opened, as browsers write "
        "them; identity.names and this machine's own are known.",
    )

    @model_validator(mode="after")
    def _protected(self) -> Self:
        if not self.tls and (not is_loopback(self.host) or self.host == "localhost"):
            raise ValueError(
                f"{self.host!r} is not a loopback address, so it needs tls = true: "
                "passwords and values must not pass a network that anybody can read"
            )
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together: give both or none")
        if self.certificate is not None and not self.tls:
            raise ValueError("a certificate needs tls = true")
        return self
