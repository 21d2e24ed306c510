"""No secret is in the tree, and the scanner that says so finds one."""

import subprocess
from pathlib import Path

import pytest

from support.secret_scan import allowed, scan, scan_tree

# Put together here, so that this file has none of them.
RANDOM = "q7Xr" + "2vLm9TzB" + "4kWd8PsN"
SECRETS = {
    "a private key": "-----BEGIN " + "PRIVATE KEY-----\n" + "MC4CAQAwBQYDK2Vw" * 3,
    "an access key of AWS": "AKIA" + "IOSFODNN7EXAMPLE",
    "a token of GitHub": "ghp_" + "a1B2" * 9,
    "a JSON web token": "eyJ" + "hbGciOiJFZERTQSJ9.eyJ" + "zdWIiOiJhbm5hIn0." + RANDOM,
    "a seed of NATS": "SU" + "A2B7" * 14,
    "a user with a password": "nats://plant:" + RANDOM + "@bus:4222",
    "a secret value": 'password = "' + RANDOM + '"',
}


def test_no_secret_is_in_the_tree() -> None:
    found = [f"{each.file}:{each.line}: {each.what}" for each in scan_tree()]
    assert not found, "remove it, change it where it counts, or see support/secret_scan"


@pytest.mark.parametrize("what", SECRETS)
def test_a_secret_is_found(what: str) -> None:
    found = list(scan("plant.toml", f"first line\n{SECRETS[what]}\n"))
    assert (what, 2) in {(each.what, each.line) for each in found}


@pytest.mark.parametrize(
    "text",
    [
        'password = "file:secrets/historian.txt"',
        'password = "change-me-please"',
        'token = "{token}"',
        "url = nats://127.0.0.1:4222",
        "key = the_name_of_a_variable_1",
        "-----BEGIN " + "PRIVATE KEY-----",
    ],
)
def test_what_only_speaks_of_secrets_is_none(text: str) -> None:
    assert list(scan("plant.toml", text)) == []


def test_a_secret_in_a_new_file_of_a_tree_is_found(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / "plant.toml").write_text(SECRETS["a secret value"])
    [found] = scan_tree(tmp_path)
    assert (found.file, found.what) == ("plant.toml", "a secret value")
    assert found.mark not in allowed()
