"""What the OPC UA driver lets a plant engineer configure."""

import csv
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from lineshaft.core.errors import ConfigError
from lineshaft.network.drivers.opcua import driver
from lineshaft.network.drivers.opcua.driver import Settings, check_address
from lineshaft.network.drivers.opcua.hearing.items import Wish
from lineshaft.network.drivers.opcua.places import Place

URL = "opc.tcp://10.0.0.9:4840"
FILES = {"certificate": "a.pem", "private_key": "b.pem", "server_certificate": "c.pem"}
HERE = Path(driver.__file__).parent


def settings(**chosen: object) -> Settings:
    return Settings.model_validate({"url": URL} | chosen)


def test_an_address_is_all_that_is_needed() -> None:
    chosen = settings()
    assert chosen.mode == "subscribe"
    assert chosen.security == "none"


@pytest.mark.parametrize("url", ["10.0.0.9:4840", "http://a:1", "opc.tcp://", ""])
def test_what_is_no_endpoint_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match=r"url|opc\.tcp"):
        settings(url=url)


@pytest.mark.parametrize("missing", list(FILES))
@pytest.mark.parametrize("security", ["sign", "sign-and-encrypt"])
def test_security_needs_all_its_files(security: str, missing: str) -> None:
    files = {key: path for key, path in FILES.items() if key != missing}
    with pytest.raises(ValidationError, match=missing):
        settings(security=security, **files)
    assert settings(security=security, **FILES).security == security


def test_a_password_in_the_clear_needs_a_word_of_consent() -> None:
    who = {"user": "anna", "password": "secret"}
    with pytest.raises(ValidationError, match="allow_plain_password"):
        settings(**who)
    assert settings(**who, allow_plain_password=True).user == "anna"
    assert settings(**who, security="sign-and-encrypt", **FILES).user == "anna"


def test_a_password_is_not_shown() -> None:
    chosen = settings(user="anna", password="secret", allow_plain_password=True)
    assert "secret" not in repr(chosen)


def test_the_examples_are_valid() -> None:
    table = tomllib.loads((HERE / "example.toml").read_text("utf-8"))
    device = table["devices"]["press_line"]
    assert device.pop("driver") == "opcua"
    points = device.pop("points")
    assert Settings.model_validate(device).url.startswith("opc.tcp://")
    rows = list(csv.DictReader((HERE / points).read_text("utf-8").splitlines()))
    assert rows
    for row in rows:
        check_address(row["address"])


def test_a_deadband_is_asked_for_in_raw_units() -> None:
    from asyncua import ua

    from lineshaft.core.point import Kind, Point

    node = ua.NodeId(1, 2)
    scaled = Point(name="a/b", address="ns=2;i=1", scale=-0.001, deadband=0.5)
    assert Wish.of(0, Place(node), scaled).deadband == pytest.approx(500.0)
    text = Point(name="a/b", address="ns=2;i=1", type=Kind.STRING, deadband=0.5)
    assert Wish.of(0, Place(node), text).deadband == 0.0


def test_an_address_that_is_none_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError):
        check_address("Press.Speed")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"user_certificate": "a.pem"}, "need each other"),
        ({"user_certificate": "a", "user_private_key": "b"}, "security"),
        (
            {
                "user_certificate": "a",
                "user_private_key": "b",
                "user": "me",
                "password": "x",
                "allow_plain_password": True,
            },
            "not both",
        ),
    ],
)
def test_a_user_certificate_that_cannot_work_is_refused(
    more: dict[str, object], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        Settings.model_validate({"url": "opc.tcp://a:1", **more})
