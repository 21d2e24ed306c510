"""Where programs above the plant find its points."""

from ipaddress import ip_address

from pydantic import BaseModel, Field, field_validator


class OpcUaServerSettings(BaseModel, frozen=True, extra="forbid"):
    """The table `[northbound.opcua]`: our own OPC UA server."""

    host: str = Field(
        default="127.0.0.1", description="Address to listen on; loopback only."
    )
    port: int = Field(
        default=4841, ge=0, le=65535, description="Port; 0 takes any free one."
    )
    writes: bool = Field(
        default=False,
        description="Whether clients may write to points that are writable.",
    )

    @field_validator("host")
    @classmethod
    def _loopback_only(cls, host: str) -> str:
        try:
            if ip_address(host).is_loopback:
                return host
        except ValueError:
            pass
        raise ValueError(
            "is not a loopback address; encryption comes with a later version, until "
            "then reach it from afar through an SSH tunnel"
        )


class Settings(BaseModel, frozen=True, extra="forbid"):
    """The table `[northbound]` of lineshaft.toml."""

    opcua: OpcUaServerSettings | None = Field(
        default=None, description="Our own OPC UA server; left out, there is none."
    )

    @property
    def services(self) -> list[str]:
        """Return the name of each output that is wanted."""
        return [f"northbound.{name}" for name, output in self if output is not None]

    @property
    def is_wanted(self) -> bool:
        """Whether there is any output."""
        return bool(self.services)
