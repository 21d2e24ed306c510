"""How the bus is set up."""

from typing import Self

from pydantic import BaseModel, Field, model_validator

from lineshaft.core.process.loopback import is_loopback


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
    mqtt_tls: bool = Field(
        default=False,
        description="Ask machines on MQTT for a certificate of the plant's authority "
        "(TLS 1.3): each says only what is below its own name, or what the policy "
        "grants it to publish. Other hosts than loopback need it.",
    )
    mqtt_host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address that the MQTT listener is on.",
    )
    most_gib: float = Field(
        default=8.0,
        gt=0,
        description="Most disk space, in GiB, for readings that are not yet recorded. "
        "When it is full, collectors buffer on their own disk and say so.",
    )

    @model_validator(mode="after")
    def _protected(self) -> Self:
        if not self.mqtt_tls and not is_loopback(self.mqtt_host):
            raise ValueError(
                f"mqtt_host {self.mqtt_host!r} is not a loopback address, so it needs "
                "mqtt_tls = true: anybody could say anything there"
            )
        return self
