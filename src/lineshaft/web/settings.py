"""Where the page and the API are served."""

from pydantic import BaseModel, Field, field_validator

from lineshaft.core.process.loopback import loopback


class Settings(BaseModel, frozen=True, extra="forbid"):
    """The table `[web]` of lineshaft.toml."""

    host: str = Field(
        default="127.0.0.1", description="Address to listen on; loopback only."
    )
    port: int = Field(
        default=8080, ge=0, le=65535, description="Port; 0 takes any free one."
    )

    @field_validator("host")
    @classmethod
    def _loopback_only(cls, host: str) -> str:
        return loopback(host)
