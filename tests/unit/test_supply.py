"""What we are made of, and that a change of it is found."""

import base64
import hashlib
import json
from datetime import UTC, datetime
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.core.errors import ConfigError, Denied, LineshaftError, NotFound, Refused
from lineshaft.security.supply.bom import bill
from lineshaft.security.supply.gobuild import read_build
from lineshaft.security.supply.installed import compare, compare_one
from lineshaft.security.supply.listeners import LISTENERS, Socket, undeclared
from lineshaft.security.supply.minisign import (
    make_key,
    parse_public_key,
    read_key,
    verify,
)
from lineshaft.security.supply.parts import (
    Part,
    installed_parts,
    locked_parts,
    page_parts,
    parts_of_lock,
)
from lineshaft.security.supply.release import sign, verify_release

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
# The key and the signature that the authors of minisign publish for their verifiers.
THEIR_KEY = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
THEIR_SIGNATURE = (
    "untrusted comment: signature from minisign secret key\n"
    "RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/"
    "z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n"
    "trusted comment: timestamp:1556193335\tfile:test\n"
    "y/rUw2y8/hOUYjZU71eHp/Wo1KZ40fGy2VJEDl34XMJM+TX48Ss/17u3IvIfbVR1FkZZSNCisQbuQY+"
    "bHwhEBg==\n"
)


def components(bom: bytes) -> dict[str, dict[str, object]]:
    return {each["purl"]: each for each in json.loads(bom)["components"]}


def test_the_bill_of_this_installation_is_valid_and_whole() -> None:
    bom = bill(installed_parts(), "0.1.0", NOW)
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(bom.decode()) is None
    found = components(bom)
    names = {purl.partition("@")[0] for purl in found}
    assert {"pkg:pypi/pyarrow", "pkg:npm/uplot", "pkg:npm/svelte"} <= names
    assert "pkg:golang/github.com/nats-io/nats-server/v2" in names
    assert "pkg:golang/golang.org/x/crypto" in names
    told = json.loads(bom)
    assert told["metadata"]["component"]["name"] == "lineshaft"
    refs = {each["ref"] for each in told["dependencies"]}
    assert refs == {told["metadata"]["component"]["bom-ref"], *found}


def test_the_bill_of_a_release_has_versions_hashes_and_licences() -> None:
    text = (ROOT / "requirements/run.txt").read_text("utf-8")
    bom = bill(locked_parts(text), "0.1.0", NOW)
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(bom.decode()) is None
    python = {p: c for p, c in components(bom).items() if p.startswith("pkg:pypi/")}
    pinned = [line for line in text.splitlines() if "==" in line]
    assert len(python) == len(pinned)
    assert all(each["hashes"] for each in python.values())
    assert [each for each in python.values() if "licenses" in each]


def test_the_same_parts_give_the_same_bill() -> None:
    parts = [Part(name="b", version="1", purl="pkg:pypi/b@1")]
    assert bill(parts, "1", NOW) == bill(parts * 2, "1", NOW)
    other = [Part(name="b", version="2", purl="pkg:pypi/b@2")]
    serials = {json.loads(bill(p, "1", NOW))["serialNumber"] for p in (parts, other)}
    assert len(serials) == 2


def test_what_the_package_says_of_its_page_is_what_is_locked() -> None:
    lock = (ROOT / "frontend/package-lock.json").read_bytes()
    assert page_parts() == parts_of_lock(lock), "run `make sbom`"


def test_an_unknown_package_has_no_parts() -> None:
    with pytest.raises(NotFound, match="no-such-package is not installed"):
        installed_parts("no-such-package")


@given(st.binary(max_size=200))
def test_no_bytes_but_a_program_of_go_have_a_build(noise: bytes) -> None:
    for program in (noise, b"\xff Go buildinf:\x08\x02" + noise):
        try:
            read_build(program)
        except LineshaftError:
            continue


def package(site: Path, **files: str) -> Distribution:
    """Lay out an installed package; its RECORD has all files."""
    info = site / "press-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: press\nVersion: 1\n")
    record = []
    for stem, text in files.items():
        file = site / "press" / f"{stem}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        digest = hashlib.sha256(text.encode()).digest()
        told = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        record.append(f"press/{stem}.py,sha256={told},{len(text)}")
    (info / "RECORD").write_text("\n".join([*record, "press-1.0.dist-info/RECORD,,"]))
    return PathDistribution(info)


def test_an_untouched_package_has_no_changes(tmp_path: Path) -> None:
    found = package(tmp_path, __init__="", frame="LENGTH = 1\n")
    assert compare_one("press", found) == (2, [])


def test_every_changed_missing_and_added_file_is_named(tmp_path: Path) -> None:
    found = package(tmp_path, __init__="", frame="LENGTH = 1\n", valve="")
    (tmp_path / "press/frame.py").write_text("LENGTH = 2\n")
    (tmp_path / "press/valve.py").unlink()
    (tmp_path / "press/door.py").write_text("import os\n")
    changes = compare_one("press", found)[1]
    told = {each.file: each.how for each in changes}
    assert told == {
        "press/frame.py": "changed",
        "press/valve.py": "missing",
        "press/door.py": "added",
    }


def test_what_runs_from_its_source_is_not_called_unchanged() -> None:
    compared = compare("lineshaft")
    assert "lineshaft" in compared.editable
    assert compared.files > 1000


def test_a_signature_that_minisign_made_is_verified() -> None:
    key = parse_public_key(THEIR_KEY)
    assert verify(key, b"test", THEIR_SIGNATURE).startswith("timestamp:1556193335")
    with pytest.raises(Denied, match="changed after signing"):
        verify(key, b"Test", THEIR_SIGNATURE)


def test_a_release_is_signed_and_verified(tmp_path: Path) -> None:
    key = make_key(tmp_path / "release.pem")
    assert (tmp_path / "release.pem").stat().st_mode & 0o777 == 0o600
    folder = tmp_path / "dist"
    folder.mkdir()
    (folder / "lineshaft.whl").write_bytes(b"wheel")
    sign(folder, read_key(tmp_path / "release.pem"), "lineshaft 0.1.0")
    found = verify_release(folder, key.public.text)
    assert (found.files, found.comment) == (("lineshaft.whl",), "lineshaft 0.1.0")


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("lineshaft.whl", b"wheeL", "lineshaft.whl is not as it was signed"),
        ("extra.whl", b"", "extra.whl was not signed"),
        ("SHA256SUMS", b"", "changed after signing"),
    ],
)
def test_a_release_that_was_changed_is_not_verified(
    tmp_path: Path, file: str, content: bytes, said: str
) -> None:
    key = make_key(tmp_path / "release.pem")
    folder = tmp_path / "dist"
    folder.mkdir()
    (folder / "lineshaft.whl").write_bytes(b"wheel")
    sign(folder, key, "lineshaft 0.1.0")
    (folder / file).write_bytes(content)
    with pytest.raises(Denied, match=said):
        verify_release(folder, key.public.text)


def test_a_missing_file_another_key_and_no_signature_are_told(tmp_path: Path) -> None:
    key, other = make_key(tmp_path / "a.pem"), make_key(tmp_path / "b.pem")
    folder = tmp_path / "dist"
    folder.mkdir()
    (folder / "lineshaft.whl").write_bytes(b"wheel")
    with pytest.raises(NotFound, match="no signed release"):
        verify_release(folder, key.public.text)
    sign(folder, key, "lineshaft 0.1.0")
    with pytest.raises(Denied, match=f"not by {other.public.name}"):
        verify_release(folder, other.public.text)
    (folder / "lineshaft.whl").unlink()
    with pytest.raises(Denied, match=r"lineshaft\.whl is missing"):
        verify_release(folder, key.public.text)


def test_a_comment_that_was_changed_is_not_believed(tmp_path: Path) -> None:
    key = make_key(tmp_path / "a.pem")
    signature = key.sign(b"sums", "version 1").replace("version 1", "version 2")
    with pytest.raises(Denied, match="changed after signing"):
        verify(key.public, b"sums", signature)


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    file = tmp_path / "release.pem"
    make_key(file)
    with pytest.raises(ConfigError, match="File exists"):
        make_key(file)
    file.chmod(0o640)
    with pytest.raises(ConfigError, match="others may read the key"):
        read_key(file)


@given(st.text(max_size=300))
def test_any_text_as_signature_raises_only_our_errors(text: str) -> None:
    key = parse_public_key(THEIR_KEY)
    for signature in (text, f"untrusted comment: \n{text}\ntrusted comment: \n{text}"):
        with pytest.raises((Refused, Denied)):
            verify(key, b"test", signature)
    with pytest.raises(Refused):
        parse_public_key(text)


WEB = Socket("python -m lineshaft run web", "tcp", "127.0.0.1", 8080)
BUS = Socket("nats-server --config x", "tcp", "127.0.0.1", 4222)


def test_listeners_that_are_declared_are_no_surprise() -> None:
    assert undeclared([WEB, WEB, BUS], {"web.port": 8080, "bus.port": 4222}) == []
    assert undeclared([WEB, BUS], {"web.port": 0, "bus.port": 0}) == []


@pytest.mark.parametrize(
    ("socket", "said"),
    [
        (Socket("nats-server --config x", "tcp", "127.0.0.1", 1883), "not declared"),
        (Socket("python -m lineshaft run web", "tcp", "::1", 8081), "not declared"),
        (Socket("python -m lineshaft run web", "udp", "127.0.0.1", 5353), "not decl"),
        (Socket("python -m lineshaft run historian", "tcp", "::1", 1), "not declared"),
    ],
)
def test_a_listener_that_is_not_declared_is_found(socket: Socket, said: str) -> None:
    [wrong] = undeclared([WEB, BUS, socket], {"web.port": 8080, "bus.port": 4222})
    assert said in wrong
    assert str(socket.port) in wrong


def test_a_listener_that_reaches_beyond_loopback_is_found() -> None:
    open_to_all = Socket(WEB.command, "tcp", "0.0.0.0", 8080)
    [wrong] = undeclared([open_to_all], {"web.port": 8080})
    assert "loopback only" in wrong
    assert undeclared([open_to_all], {"web.port": 8080}, {"web.port"}) == []
    assert undeclared([open_to_all], {"web.port": 8080}, {"identity.port"}) == [wrong]


def test_declared_listeners_have_settings_of_their_own() -> None:
    assert len({each.setting for each in LISTENERS}) == len(LISTENERS)
