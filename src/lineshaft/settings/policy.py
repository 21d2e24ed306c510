"""The file `policy.toml`: read, checked as a whole, every problem with its place."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from lineshaft.core.errors import ConfigError
from lineshaft.core.name import select
from lineshaft.security.access.document import EVERYONE, Document, Grant
from lineshaft.security.access.versions import Versions
from lineshaft.settings.faults import explain, key_of
from lineshaft.settings.toml import parse_toml, place_of, read_toml

FILE = "policy.toml"


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A policy as its author wrote it, and found sound."""

    file: Path
    text: str
    document: Document


def load_policy(file: Path) -> PolicyFile:
    """Read and check a policy; `ConfigError` holds every problem that was found."""
    if not file.exists():
        raise ConfigError(
            f"{file} does not exist, so nobody may do anything; write one, the page "
            "docs/how-to/say-who-may-do-what.md shows how"
        )
    table, text = read_toml(file)
    return PolicyFile(file, text, _checked(table, file, text))


def parse_policy(text: str, file: Path) -> Document:
    """Check the text of a policy that was read from `file`, as `load_policy` does."""
    return _checked(parse_toml(text, file), file, text)


def _checked(table: dict[str, object], file: Path, text: str) -> Document:
    try:
        document = Document.model_validate(table)
    except ValidationError as error:
        raise ConfigError(list(explain(error, Document, file, text))) from error
    problems = [
        f"{file}{place_of(text, path)}: {key_of(path)}: {said}"
        for path, said in document.problems()
    ]
    if problems:
        raise ConfigError(problems)
    return document


@lru_cache(maxsize=2)
def _parsed(text: str, file: Path) -> Document:
    """Parse a text once: who follows the policy asks for it every two seconds."""
    return parse_policy(text, file)


def accepted(file: Path, data: Path) -> tuple[int, Document]:
    """Return the number of the policy that was accepted last, and the policy.

    `file` is lineshaft.toml, whose neighbour `policy.toml` may differ: it counts once
    it is accepted. Where none ever was, nobody may do anything: version 0.
    """
    versions = Versions(data / "policy")
    newest = versions.newest()
    if newest is None:
        return 0, Document()
    return newest.number, _parsed(versions.text(newest.number), file.parent / FILE)


def hints(policy: PolicyFile, names: list[str]) -> list[str]:
    """Return what is allowed but hardly meant, for a plant with these points."""
    found = []
    document = policy.document
    for table, number, rule in document.rules:
        at = f"{policy.file}{place_of(policy.text, (table, number, 'on'))}"
        found += [
            f"{at}: {pattern!r} means no point of this plant"
            for pattern in rule.on
            if not select(pattern, names)
        ]
        if isinstance(rule, Grant) and not _reaches(document, rule):
            found.append(f"{at}: nobody named in {rule.name!r} is of that tenant")
    return found


def _reaches(document: Document, grant: Grant) -> bool:
    """Whether any subject of the grant may see any place that it means."""
    who = set(grant.who)
    who |= {each for name in grant.who for each in document.groups.get(name, ())}
    tenants = {
        subject.tenant
        for name, subject in document.subjects.items()
        if EVERYONE in who or name in who
    }
    first = {pattern.partition("/")[0] for pattern in grant.on}
    return any("*" in segment for segment in first) or bool(first & tenants)
