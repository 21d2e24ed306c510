"""How the audit log is kept."""

from pydantic import BaseModel, Field, field_validator

from lineshaft.core.errors import Refused
from lineshaft.security.audit.notes import Verifier


class Settings(BaseModel, frozen=True, extra="forbid"):
    """The table `[audit]` of lineshaft.toml. Nothing of the log is ever removed."""

    origin: str = Field(
        default="",
        pattern=r"^[^\s+]*$",
        description="Name of the log, like the address of its owner, such as "
        "osaka.acme.example/audit. Left out, it is made from the plant's name; a log "
        "keeps the name that it began with.",
    )
    warn_gib: float = Field(
        default=5.0,
        gt=0,
        description="When the log is larger than this, or the disk has less than a "
        "tenth of it left, the health of the service says so.",
    )
    witness: str = Field(
        default="",
        pattern=r"^(https?://[^\s]+)?$",
        description="Address of another Lineshaft that remembers our checkpoints, such "
        "as https://tokyo.acme.example:8443. Plain http for loopback only.",
    )
    witness_key: str = Field(
        default="",
        description="Its public key, as `lineshaft audit key --witness` prints it "
        "there; needed with witness.",
    )
    witness_every_s: float = Field(
        default=60.0, ge=1, description="How often the witness is told."
    )
    witness_for: tuple[str, ...] = Field(
        default=(),
        description="Public keys of the logs of others that we are a witness for, as "
        "`lineshaft audit key` prints them there.",
    )

    @field_validator("witness_for")
    @classmethod
    def _are_keys(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        try:
            for key in keys:
                Verifier(key)
        except Refused as error:
            raise ValueError(str(error)) from error
        return keys

    @field_validator("witness")
    @classmethod
    def _protected(cls, address: str) -> str:
        host = address.partition("://")[2].partition("/")[0].partition(":")[0]
        if address.startswith("http:") and host not in ("127.0.0.1", "localhost"):
            raise ValueError("a witness that is not on this machine needs https")
        return address
