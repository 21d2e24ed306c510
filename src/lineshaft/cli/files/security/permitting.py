"""may, policy: who may do what, asked of the policy beside lineshaft.toml."""

import getpass
import time
from pathlib import Path

import msgspec

from lineshaft import settings
from lineshaft.cli import screen
from lineshaft.cli.files import telling
from lineshaft.core.errors import ConfigError, LineshaftError
from lineshaft.core.name import did_you_mean
from lineshaft.core.reading import from_us, iso
from lineshaft.security.access.comparing import Difference, compare
from lineshaft.security.access.document import Document
from lineshaft.security.access.policy import Outcome, Policy
from lineshaft.security.access.roles import Action
from lineshaft.security.access.trial import Tried, try_all
from lineshaft.security.access.versions import Version, Versions, digest_of
from lineshaft.security.access.why import why
from lineshaft.settings.policy import FILE, hints, load_policy, parse_policy

ALLOWED, NOT_ALLOWED = 0, 1


def may(
    config: Path, data: Path, asked: tuple[str, str, str], *, tell: bool, as_json: bool
) -> int:
    """Print whether a subject may; return 0 if it may at once, else 1."""
    who, what, name = asked
    action = _action(what)
    found = load_policy(config.with_name(FILE))
    policy, now_us = Policy(found.document), _now_us()
    decision = policy.decide(who, action, name, now_us)
    reason = why(policy, decision, now_us)
    hint = _unknown_point(config, data, name)
    if as_json:
        told = {
            **msgspec.to_builtins(decision),
            "sentence": reason.sentence,
            "nearest": reason.nearest,
            "hint": hint,
            "at": iso(now_us),
            "policy": digest_of(found.text),
        }
        screen.write_json(told)
    else:
        screen.say(reason.sentence if tell else decision.outcome)
        if hint:
            screen.complain(f"hint: {hint}")
    return ALLOWED if decision.outcome is Outcome.ALLOW else NOT_ALLOWED


def check(config: Path, data: Path, *, as_json: bool) -> None:
    """Print what the policy has; raise `ConfigError` with every problem."""
    found = load_policy(config.with_name(FILE))
    document = found.document
    told = hints(found, _names(config, data))
    counts = {
        "subjects": len(document.subjects),
        "groups": len(document.groups),
        "grants": len(document.grant),
        "denials": len(document.deny),
        "approvals": len(document.approval),
        "tests": len(document.test),
    }
    if as_json:
        screen.write_json({"ok": True, "problems": [], "hints": told, **counts})
        return
    for hint in told:
        screen.complain(f"hint: {hint}")
    parts = ", ".join(f"{count} {what}" for what, count in counts.items())
    screen.say(f"{found.file}: no problem; {parts}")


def test(config: Path, *, as_json: bool) -> int:
    """Run the tests of the policy; return 0 if all hold, else 1."""
    found = load_policy(config.with_name(FILE))
    tried = try_all(Policy(found.document), _now_us())
    failed = [each for each in tried if not each.holds]
    if as_json:
        rows = [
            {
                **each.trial.model_dump(mode="json", exclude_none=True),
                "decision": each.decision.outcome,
                "sentence": each.sentence,
                "ok": each.holds,
            }
            for each in tried
        ]
        screen.write_json({"ok": not failed, "tests": rows})
    else:
        for each in failed:
            screen.say(_failure(each))
        screen.say(f"{found.file}: {len(tried)} tests, {len(failed)} failed")
    return NOT_ALLOWED if failed else ALLOWED


def _failure(tried: Tried) -> str:
    expected, got = tried.trial.expect, tried.decision.outcome
    return f"expected {expected}, the policy says {got}: {tried.sentence}"


def show(config: Path, data: Path, number: int | None, *, as_json: bool) -> None:
    """Print a policy: the file, or a version that was accepted."""
    if number is None:
        found = load_policy(config.with_name(FILE))
        document, text = found.document, found.text
    else:
        text = _versions(data).text(number)
        document = _document_of(data, number)
    if as_json:
        screen.write_json(document.model_dump(mode="json", exclude_defaults=True))
    else:
        screen.say(text.rstrip("\n"))


def diff(config: Path, data: Path, number: int | None, *, as_json: bool) -> None:
    """Print what the file changes against a version; the newest if none is named."""
    found = load_policy(config.with_name(FILE))
    newest = _versions(data).newest()
    against = number or (newest.number if newest else 0)
    before = _document_of(data, against) if against else Document()
    differences = compare(before, found.document)
    if as_json:
        rows = [msgspec.to_builtins(each) for each in differences]
        screen.write_json({"against": against or None, "differences": rows})
        return
    screen.say(f"{found.file} against {f'version {against}' if against else 'nothing'}")
    for each in differences:
        screen.say(_difference(each))
    if not differences:
        screen.say("the same in what they allow")


def _difference(each: Difference) -> str:
    lines = [f"{each.how} {each.what}"]
    lines += [f"  - {key} = {value!r}" for key, value in each.before.items()]
    lines += [f"  + {key} = {value!r}" for key, value in each.after.items()]
    return "\n".join(lines)


def accept(config: Path, data: Path, note: str, *, as_json: bool) -> None:
    """Keep the file as the next version; `ConfigError` if one of its tests fails."""
    found = load_policy(config.with_name(FILE))
    _tested(found.document)
    _tell(_accept(data, found.text, note), as_json=as_json)


def take_back(
    config: Path, data: Path, number: int, note: str, *, as_json: bool
) -> None:
    """Write an accepted version into the file again, and accept that."""
    versions = _versions(data)
    text = versions.text(number)
    _tested(_document_of(data, number))
    newest = versions.get(len(versions.all()))
    if digest_of(text) != newest.sha256:
        newest = _accept(data, text, note or f"version {number} again")
    file = config.with_name(FILE)
    fresh = file.with_name(f"{FILE}.new")
    fresh.write_text(text, "utf-8", newline="")
    fresh.replace(file)
    _tell(newest, as_json=as_json)


def history(data: Path, *, as_json: bool) -> None:
    """Print every version that was accepted."""
    known = _versions(data).all()
    if as_json:
        screen.write_json([msgspec.to_builtins(version) for version in known])
        return
    rows = [(v.number, v.time, v.by, v.sha256[:12], v.note) for v in known]
    screen.table(("version", "accepted", "by", "sha256", "why"), rows)


def _tested(document: Document) -> None:
    """Refuse a policy whose own tests fail."""
    tried = try_all(Policy(document), _now_us())
    failed = [_failure(each) for each in tried if not each.holds]
    if failed:
        raise ConfigError([*failed, "a policy is accepted when all its tests hold"])


def _accept(data: Path, text: str, note: str) -> Version:
    now = from_us(_now_us()).isoformat(timespec="seconds").replace("+00:00", "Z")
    made = _versions(data).accept(text, by=getpass.getuser(), time=now, note=note)
    version = f"version {made.number}"
    telling.note(data, "policy.accepted", version, made.note, sha256=made.sha256)
    return made


def _tell(version: Version, *, as_json: bool) -> None:
    if as_json:
        screen.write_json(msgspec.to_builtins(version))
    else:
        digest = version.sha256[:12]
        screen.say(f"policy version {version.number}, by {version.by}, sha256 {digest}")


def _versions(data: Path) -> Versions:
    return Versions(data / "policy")


def _document_of(data: Path, number: int) -> Document:
    text = _versions(data).text(number)
    return parse_policy(text, data / "policy" / f"{number:06d}.toml")


def _names(config: Path, data: Path) -> list[str]:
    plant = settings.load(config, data, drivers=False)
    return [point.name for point, _, _ in plant.points()]


def _unknown_point(config: Path, data: Path, name: str) -> str:
    """Say that the plant has no such point or place; empty if nothing is to be said."""
    try:
        names = _names(config, data)
    except LineshaftError:
        return ""  # the policy is asked, and `lineshaft check` tells what is wrong
    if name in names or any(known.startswith(f"{name}/") for known in names):
        return ""
    return f"the plant has no point {name!r}{did_you_mean(name, names)}"


def _action(word: str) -> Action:
    try:
        return Action(word)
    except ValueError as error:
        known = [str(action) for action in Action]
        raise ConfigError(
            f"there is no action {word!r}; actions are {', '.join(known)}"
            + did_you_mean(word, known)
        ) from error


def _now_us() -> int:
    return int(time.time() * 1e6)
