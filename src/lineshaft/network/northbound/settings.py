"""What the plant is told to, and where."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, field_validator

from lineshaft.core.process.loopback import is_loopback, loopback

_SPARKPLUG_ID = r"^[^/+#\x00]+$"
_SPARKPLUG_ID_OR_NONE = r"^[^/+#\x00]*$"
_PORTS = {"mqtt": 1883, "mqtts": 8883}
Problem = tuple[tuple[str, ...], str]
"""The keys that lead to a setting, and what is wrong with it."""


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
    write_within_s: float = Field(
        default=5.0,
        gt=0,
        le=60,
        description="How long a client's write may take until it is told the verdict.",
    )

    @field_validator("host")
    @classmethod
    def _loopback_only(cls, host: str) -> str:
        return loopback(host)


class Broker(BaseModel, frozen=True, extra="forbid"):
    """Where an MQTT broker is, and who we are to it."""

    url: str = Field(
        description="The broker, like mqtt://192.168.0.9:1883; mqtts:// encrypts."
    )
    client_id: str = Field(
        default="",
        max_length=200,
        description="Our name at the broker; made from this computer's name and the "
        "url if left empty.",
    )
    timeout_s: float = Field(
        default=5.0, gt=0, le=300, description="How long an answer may take."
    )
    user: str = Field(default="", description="User name, if the broker wants one.")
    password_file: Path | None = Field(
        default=None,
        description="A file that holds the password, named relative to lineshaft.toml.",
    )
    ca_file: Path | None = Field(
        default=None,
        description="Certificates of authorities to trust (PEM) instead of the "
        "system's, named relative to lineshaft.toml.",
    )

    @field_validator("url")
    @classmethod
    def _broker(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("is not mqtt://HOST:PORT or mqtts://HOST:PORT")
        if parts.username or parts.password or parts.path.strip("/"):
            raise ValueError(
                "holds more than a host and a port; user and password_file say who "
                "we are"
            )
        _ = parts.port  # says so itself when it is no port
        return url

    @property
    def host(self) -> str:
        """Return the host of the url."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Return the port of the url, or the one that its scheme has."""
        parts = urlsplit(self.url)
        return parts.port or _PORTS[parts.scheme]

    @property
    def encrypts(self) -> bool:
        """Return whether the connection is encrypted."""
        return urlsplit(self.url).scheme == "mqtts"

    def problems(self, base: Path) -> Iterator[Problem]:
        """Yield what only a look at the files beside lineshaft.toml shows."""
        files = {"password_file": self.password_file, "ca_file": self.ca_file}
        for key, file in files.items():
            if file is not None and not (base / file).is_file():
                yield (key,), f"there is no file {base / file}"
        if self.password_file and not self.encrypts and not is_loopback(self.host):
            text = f"the password would travel to {self.host} for all to read"
            yield ("url",), f"{text}; use mqtts://"


class Mqtt(Broker, frozen=True, extra="forbid"):
    """The table `[northbound.mqtt]`: every point as a retained JSON message."""

    prefix: str = Field(
        default="lineshaft",
        min_length=1,
        max_length=200,
        pattern=r"^[^/+#$][^+#]*[^/+#]$|^[^/+#$]$",
        description="Begins each topic: PREFIX/enterprise/site/.../point.",
    )


class Sparkplug(Broker, frozen=True, extra="forbid"):
    """The table `[northbound.sparkplug]`: our data as a Sparkplug B edge node."""

    group: str = Field(
        max_length=200,
        pattern=_SPARKPLUG_ID,
        description="Group id: the first level below spBv1.0 in each topic.",
    )
    edge_node: str = Field(
        max_length=200,
        pattern=_SPARKPLUG_ID,
        description="Edge node id; no two edge nodes of a group may have the same.",
    )
    primary_host: str = Field(
        default="",
        max_length=200,
        pattern=_SPARKPLUG_ID_OR_NONE,
        description="Id of the primary host: while its STATE is not online, readings "
        "wait here. Empty: nobody is waited for.",
    )
    writes: bool = Field(
        default=False,
        description="Whether hosts may write (DCMD) to points that are writable.",
    )
    write_within_s: float = Field(
        default=5.0, gt=0, le=60, description="How long a host's write may take."
    )
    most_waiting: int = Field(
        default=1_000_000,
        ge=1,
        le=1_000_000_000,
        description="Readings that are kept on disk while they cannot be told; when "
        "there are more the oldest go.",
    )

    @field_validator("group")
    @classmethod
    def _not_state(cls, group: str) -> str:
        if group == "STATE":
            raise ValueError("is what primary hosts are told apart by; take another")
        return group


class Settings(BaseModel, frozen=True, extra="forbid"):
    """The table `[northbound]`; what is not there is not started."""

    opcua: OpcUaServerSettings | None = Field(
        default=None, description="Our own OPC UA server, for SCADA and MES."
    )
    mqtt: Mqtt | None = Field(
        default=None, description="Every point as a retained JSON message."
    )
    sparkplug: Sparkplug | None = Field(
        default=None, description="Our data as a Sparkplug B edge node."
    )

    @property
    def services(self) -> list[str]:
        """Return the name of each output that is wanted."""
        return [f"northbound.{name}" for name, output in self if output is not None]

    @property
    def is_wanted(self) -> bool:
        """Whether there is any output."""
        return bool(self.services)

    def problems(self, base: Path) -> Iterator[Problem]:
        """Yield what only a look at the files beside lineshaft.toml shows."""
        for name, output in self:
            if isinstance(output, Broker):
                for path, text in output.problems(base):
                    yield ("northbound", name, *path), text
