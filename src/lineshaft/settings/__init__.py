"""One typed tree of all settings, checked as a whole before anything starts.

The file `lineshaft.toml` is read first; environment variables such as
`LINESHAFT_WEB__PORT=8081` stand above it. Every problem of every file is told at
once, with its place and the nearest valid spelling.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from typing_extensions import override

from lineshaft.core.bus.settings import Settings as BusSettings
from lineshaft.core.errors import ConfigError
from lineshaft.core.point import Point
from lineshaft.network.drivers import NotLoaded
from lineshaft.network.drivers import load as load_driver
from lineshaft.network.northbound.settings import Settings as NorthboundSettings
from lineshaft.network.settings import DeviceConfig, DeviceSettings, OutboxSettings
from lineshaft.platform.computed.settings import DEVICE
from lineshaft.platform.computed.settings import Settings as ComputedSettings
from lineshaft.platform.historian.settings import Settings as HistorianSettings
from lineshaft.security.audit.settings import Settings as AuditSettings
from lineshaft.security.data.settings import Settings as DataSettings
from lineshaft.security.identity.settings import Settings as IdentitySettings
from lineshaft.security.people.settings import Settings as PeopleSettings
from lineshaft.settings.computed import computed_points
from lineshaft.settings.faults import explain, sentence
from lineshaft.settings.points import PointList, read_points
from lineshaft.settings.secrets import read_secret
from lineshaft.settings.toml import Table, place_of, read_toml
from lineshaft.web.settings import Settings as WebSettings

_DEVICE_NAME = r"[\w-]+"
_COMMON = frozenset(DeviceSettings.model_fields)


class PlantSettings(BaseModel, frozen=True, extra="forbid"):
    """The table `[plant]`."""

    name: str = Field(default="Plant", description="What the page calls this plant.")
    demo: bool = Field(default=False, description="Mark everything as a demonstration.")


class Settings(BaseSettings):
    """The whole of lineshaft.toml."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="LINESHAFT_",
        env_nested_delimiter="__",
    )

    plant: PlantSettings = PlantSettings()
    bus: BusSettings = BusSettings()
    outbox: OutboxSettings = OutboxSettings()
    historian: HistorianSettings = HistorianSettings()
    web: WebSettings = WebSettings()
    northbound: NorthboundSettings = NorthboundSettings()
    computed: ComputedSettings = ComputedSettings()
    people: PeopleSettings = PeopleSettings()
    audit: AuditSettings = AuditSettings()
    identity: IdentitySettings = IdentitySettings()
    data: DataSettings | None = Field(
        default=None, description="Labels of the data; left out, none are asked for."
    )
    devices: dict[str, DeviceSettings] = Field(
        default={}, description="The machines, one table [devices.NAME] each."
    )

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment stand above the file, and nothing else count."""
        return env_settings, init_settings


@dataclass(frozen=True, slots=True)
class Plant:
    """A plant as configured: everything that is needed to start it."""

    file: Path
    data: Path
    settings: Settings
    devices: tuple[DeviceConfig, ...]
    computed: tuple[Point, ...] = ()
    """Points whose address is an expression over others."""

    def points(self) -> Iterator[tuple[Point, str, str]]:
        """Yield every point with its device and what brings it."""
        for device in self.devices:
            for point in device.points:
                yield point, device.name, device.protocol
        for point in self.computed:
            yield point, DEVICE, DEVICE

    @property
    def name(self) -> str:
        """Return what the page calls it."""
        return self.settings.plant.name


def load(file: Path, data: Path, *, drivers: bool = True) -> Plant:
    """Read and check everything; `ConfigError` holds every problem that was found.

    Without `drivers` none is imported, which is quicker; their settings and addresses
    are then not looked at, and nothing can be connected.
    """
    table, text = read_toml(file)
    try:
        settings = Settings(**table)  # type: ignore[arg-type]  # pydantic checks it
    except ValidationError as error:
        problems = list(explain(error, Settings, file, text))
        raise ConfigError([*problems, *_device_problems(table, file, text)]) from error
    problems = []
    place = _Place(file, text, problems, drivers)
    for path, said in settings.northbound.problems(file.parent):
        place.tell(path, said)
    for where, said in settings.data.problems() if settings.data else ():
        place.tell(where, said)
    _check_secrets(settings, place)
    seen: dict[str, str] = {}
    devices = tuple(_devices(settings, place, seen))
    computed = _computed(settings, devices, place, seen)
    if problems:
        raise ConfigError(problems)
    return Plant(file, data, settings, devices, computed)


def _check_secrets(settings: Settings, place: "_Place") -> None:
    provider = settings.people.single_sign_on
    given = {
        ("people", "single_sign_on", "client_secret"): provider.client_secret
        if provider
        else "",
        ("identity", "passphrase"): settings.identity.passphrase,
    }
    for path, reference in given.items():
        try:
            _ = read_secret(reference, place.file.parent) if reference else ""
        except ConfigError as error:
            place.tell(path, str(error))


def _computed(
    settings: Settings,
    devices: Sequence[DeviceConfig],
    place: "_Place",
    seen: dict[str, str],
) -> tuple[Point, ...]:
    if settings.computed.points is None:
        return ()
    listed = place.file.parent / settings.computed.points
    said = [point for device in devices for point in device.points]
    found = computed_points(listed, said)
    _note_names(found, listed, place, seen)
    place.problems.extend(found.problems)
    return tuple(found.points)


def _note_names(
    listed: PointList, file: Path, place: "_Place", seen: dict[str, str]
) -> None:
    for point, line in zip(listed.points, listed.lines, strict=True):
        here = f"{file}:{line}"
        if point.name in seen:
            place.problems.append(
                f"{here}:1: name: {point.name!r} stands already at "
                f"{seen[point.name]}; a name belongs to one point"
            )
        seen.setdefault(point.name, here)


def _device_problems(table: Table, file: Path, text: str) -> list[str]:
    """Check the devices of a file whose other parts are wrong, as far as possible."""
    devices = table.get("devices")
    sound: dict[str, DeviceSettings] = {}
    for name, values in devices.items() if isinstance(devices, dict) else ():
        try:
            sound[name] = DeviceSettings.model_validate(values)
        except ValidationError:
            continue  # already among the problems
    problems: list[str] = []
    for name, device in sound.items():
        _device(name, device, _Place(file, text, problems, drivers=True))
    return problems


@dataclass(frozen=True, slots=True)
class _Place:
    """Where problems are found, and where they go."""

    file: Path
    text: str
    problems: list[str]
    drivers: bool

    def tell(self, path: tuple[str | int, ...], text: str) -> None:
        at = place_of(self.text, path)
        key = ".".join(str(part) for part in path)
        self.problems.append(f"{self.file}{at}: {key}: {text}")


def _devices(
    settings: Settings, place: _Place, seen: dict[str, str]
) -> Iterator[DeviceConfig]:
    for name, common in settings.devices.items():
        made = _device(name, common, place)
        if made is None:
            continue
        device, listed = made
        _note_names(listed, place.file.parent / common.points, place, seen)
        yield device


def _device(
    name: str, common: DeviceSettings, place: _Place
) -> tuple[DeviceConfig, PointList] | None:
    path = ("devices", name)
    if any(letter in name for letter in " .*>/$+#:"):
        place.tell(path, "a device's name has letters, digits, _ and - only")
        return None
    if name == DEVICE:
        place.tell(path, "this name is that of computed points; choose another one")
        return None
    try:
        driver = load_driver(common.driver) if place.drivers else NotLoaded()
    except ConfigError as error:
        place.tell((*path, "driver"), str(error))
        return None
    listed = read_points(place.file.parent / common.points, driver.check_address)
    place.problems.extend(listed.problems)
    own = _driver_settings(driver.Settings, common, path, place)
    if own is None:
        return None
    device = DeviceConfig(
        name,
        common.driver,
        driver,
        own,
        tuple(listed.points),
        common.timeout_s,
        common.heartbeat_s,
    )
    return device, listed


def _driver_settings(
    kind: type[BaseModel],
    common: DeviceSettings,
    path: tuple[str, str],
    place: _Place,
) -> BaseModel | None:
    values: dict[str, Any] = dict(common.model_extra or {})  # Any: checked next
    if "timeout_s" in kind.model_fields:
        values["timeout_s"] = common.timeout_s
    before = len(place.problems)
    for key, value in values.items():
        values[key] = _prepared(kind, key, value, path, place)
    if len(place.problems) > before:
        return None
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        known = [*{*kind.model_fields, *_COMMON}]
        for fault in error.errors(include_url=False):
            place.tell((*path, *fault["loc"]), sentence(fault, known))
        return None


def _prepared(
    kind: type[BaseModel], key: str, value: object, path: tuple[str, str], place: _Place
) -> object:
    """Fetch secrets, and let paths start beside lineshaft.toml."""
    field = kind.model_fields.get(key)
    if field is None or not isinstance(value, str):
        return value
    kinds = {field.annotation, *get_args(field.annotation)}
    if SecretStr in kinds:
        try:
            return SecretStr(read_secret(value, place.file.parent))
        except ConfigError as error:
            place.tell((*path, key), str(error))
    if Path in kinds:
        return place.file.parent / value
    return value
