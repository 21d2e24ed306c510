"""Which texts of a plant are secrets, so that its logs can strike them out.

They are found in the file and the environment themselves, whether or not the rest of
the settings is right and whoever needs them: a log must be clean before it begins.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lineshaft.core.errors import ConfigError
from lineshaft.settings.toml import read_toml

_NAMED_SO = re.compile(r"(?i)pass|secret|token|credential")


def secrets_of(file: Path) -> set[str]:
    """Return every secret that the file names or the environment sets."""
    try:
        settings: object = read_toml(file)[0]
    except ConfigError:
        settings = {}  # it is told elsewhere what is wrong
    found = set(_in(settings, "", file.parent))
    for name, value in os.environ.items():
        if name.startswith("LINESHAFT_"):
            found |= set(_in(value, name, file.parent))
    return {secret for secret in found if secret}


def read_secret(reference: str, base: Path) -> str:
    """Return the secret that a text of the settings points to.

    `base` is the folder that relative paths start in. `ConfigError` if it is not there,
    or stands in the file itself.
    """
    where, _, name = reference.partition(":")
    if where == "env":
        if name not in os.environ:
            raise ConfigError(f"the environment variable {name} is not set")
        return os.environ[name]
    if where == "file":
        try:
            return (base / name).read_text("utf-8").rstrip("\r\n")
        except OSError as error:
            raise ConfigError(f"{base / name}: {error.strerror}") from error
    raise ConfigError(
        "a secret is not written into this file; write file:NAME for a file that holds "
        "it or env:NAME for an environment variable"
    )


def _in(value: object, key: str, base: Path) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inside in value.items():
            yield from _in(inside, str(name), base)
    elif isinstance(value, list):
        for inside in value:
            yield from _in(inside, key, base)
    elif isinstance(value, str):
        yield from _of_text(value, key, base)


def _of_text(text: str, key: str, base: Path) -> Iterator[str]:
    where, _, name = text.partition(":")
    if where == "env":
        yield os.environ.get(name, "")
    elif where == "file":
        try:
            yield (base / name).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return
    elif _NAMED_SO.search(key):
        # It should not stand here, but that is no reason to spread it.
        yield text
    else:
        yield from _of_address(text)


def _of_address(text: str) -> Iterator[str]:
    try:
        secret = urlsplit(text).password if "://" in text else None
    except ValueError:
        return
    if secret:
        yield secret
        yield unquote(secret)
