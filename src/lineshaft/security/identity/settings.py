"""How identities are given."""

from pydantic import BaseModel, Field, field_validator


class Settings(BaseModel, frozen=True, extra="forbid"):
    """The table `[identity]` of lineshaft.toml."""

    port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port for enrolment (EST), status (OCSP) and the list of revoked "
        "certificates; 0 takes any free one. Left out, there is no such listener.",
    )
    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on. It speaks TLS, so others than loopback do.",
    )
    names: tuple[str, ...] = Field(
        default=("localhost", "127.0.0.1"),
        min_length=1,
        description="Names and addresses under which machines reach this plant; its "
        "own certificate is for these.",
    )
    device_days: int = Field(
        default=365, ge=1, le=3650, description="How long a certificate lasts."
    )
    service_days: int = Field(
        default=90, ge=1, le=3650, description="How long one of our own lasts."
    )
    passphrase: str = Field(
        default="",
        pattern=r"^((env|file):.+)?$",
        description="`env:NAME` or `file:PATH` of what the authority's keys are "
        "encrypted with; left out, the file modes protect them.",
    )
    warn_days: int = Field(
        default=30,
        ge=0,
        description="Days before its end from which a certificate that was not "
        "renewed is told in the health.",
    )

    @field_validator("names")
    @classmethod
    def _are_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not name or any(letter in name for letter in " /@*"):
                raise ValueError(f"{name!r} is neither a host's name nor an address")
        return names
