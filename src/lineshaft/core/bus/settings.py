"""How the bus is set up."""

from pydantic import BaseModel, Field


class Settings(BaseModel, frozen=True, extra="forbid"):
    """The table `[bus]` of lineshaft.toml."""

    url: str | None = Field(
        default=None,
        pattern=r"^(nats|tls|ws|wss)://.+",
        description="Address of an external NATS cluster with JetStream, such as "
        "nats://10.0.0.5:4222. Left out, a server of our own runs on loopback.",
    )
    port: int = Field(
        default=4222,
        ge=0,
        le=65535,
        description="Port of the embedded server on loopback; 0 takes any free one.",
    )
    mqtt_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port of the built-in MQTT 3.1.1 listener on loopback; 0 takes any "
        "free one. Left out, there is no such listener.",
    )
    most_gib: float = Field(
        default=8.0,
        gt=0,
        description="Most disk space, in GiB, for readings that are not yet recorded. "
        "When it is full, collectors buffer on their own disk and say so.",
    )
