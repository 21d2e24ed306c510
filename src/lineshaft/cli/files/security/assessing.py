"""assess: look at everything now, and hold it against IEC 62443-3-3."""

import fnmatch
import shutil
from datetime import UTC, datetime
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path

import msgspec

from lineshaft import settings
from lineshaft.cli import screen
from lineshaft.cli.plant import Plant as PlantApi
from lineshaft.cli.plant import Running, find
from lineshaft.core.errors import Denied, LineshaftError, NotFound, Unreachable
from lineshaft.core.process.census import listening
from lineshaft.core.process.http import open_client
from lineshaft.core.process.loopback import is_loopback
from lineshaft.security.access.enforced import now_us
from lineshaft.security.access.policy import Policy as Deciding
from lineshaft.security.access.roles import Action
from lineshaft.security.access.trial import try_all
from lineshaft.security.access.versions import Versions, digest_of
from lineshaft.security.assess.report import LEVELS, NOT_CLAIMED, assess, html, missing
from lineshaft.security.assess.seen import (
    Audit,
    Identity,
    People,
    Policy,
    Seen,
    Status,
)
from lineshaft.security.audit.asking import Search
from lineshaft.security.audit.log import PUBLIC_KEY
from lineshaft.security.audit.reading import search
from lineshaft.security.audit.verifying import verify
from lineshaft.security.data.keys.ring import Ring
from lineshaft.security.identity.keys import now, read_certificates
from lineshaft.security.identity.register import State, open_register
from lineshaft.security.people.accounts import Accounts
from lineshaft.security.people.sessions import Sessions
from lineshaft.security.people.store import open_store
from lineshaft.security.people.tokens import Tokens
from lineshaft.security.supply.installed import compare
from lineshaft.settings import Plant
from lineshaft.settings.policy import FILE, accepted

SECRETS = (
    "people/people.sqlite", "authority/*.key", "authority/register.sqlite",
    "audit/key", "audit/witness/key", "keys/*.json", "running.json",
    "bus/nats-server.conf",
)  # fmt: skip
MOST_RECORDS = 100_000


def run(config: Path, data: Path, out: Path | None, *, as_json: bool) -> None:
    """Print what was found; write it as a page too if `out` is given."""
    plant = settings.load(config, data, drivers=False)
    found = assess(look(plant))
    when = datetime.now(UTC).isoformat(timespec="seconds")
    if out is not None:
        out.write_text(html(found, plant.name, when), "utf-8")
    if as_json:
        screen.write_json(
            {
                "plant": plant.name,
                "time": when,
                "requirements": [msgspec.to_builtins(each) for each in found],
                "missing": {f"SL {n}": missing(found, n) for n in LEVELS},
                "claim": NOT_CLAIMED,
            }
        )
        return
    rows = [(each.id, each.name, each.status, each.evidence) for each in found]
    screen.table(("number", "requirement", "status", "evidence"), rows)
    counts = [f"{sum(each.status is s for each in found)} {s}" for s in Status]
    screen.complain(f"{', '.join(counts)}. {NOT_CLAIMED}")


def look(plant: Plant) -> Seen:
    """Return all that can be seen of a plant now."""
    running = _running(plant.data)
    web, northbound = plant.settings.web, plant.settings.northbound
    policy, limited = _policy(plant)
    audit = _audit(plant)
    changed, from_source = _installed()
    keys = Ring(plant.data / "keys")
    seen = Seen(
        people=_people(plant, policy),
        policy=policy,
        audit=audit,
        identity=_identity(plant),
        open_to_others=tuple(_open_to_others(plant.data)),
        is_tls=web.tls,
        is_loopback_only=is_loopback(web.host)
        and is_loopback(plant.settings.bus.mqtt_host)
        and (
            plant.settings.identity.port is None
            or is_loopback(plant.settings.identity.host)
        ),
        is_bus_own=plant.settings.bus.url is None,
        has_open_mqtt=plant.settings.bus.mqtt_port is not None
        and not plant.settings.bus.mqtt_tls,
        has_open_opcua=getattr(northbound, "opcua", None) is not None,
        is_labelled=plant.settings.data is not None,
        data_keys=len(keys.keys()),
        destroyed_keys=len(list((plant.data / "keys" / "destroyed").glob("*.json"))),
        changed_files=changed,
        is_from_source=from_source,
        points_writable=sum(point.writable for point, _, _ in plant.points()),
        points_limited=limited,
        backups=sum(kind == "data.backup" for kind in audit.kinds) if audit else 0,
        version=version("lineshaft"),
    )
    return _with_running(seen, running) if running else seen


def _with_running(seen: Seen, running: Running) -> Seen:
    """Ask the plant that runs: for its health, and for what it must refuse."""
    try:
        health = str(PlantApi(running).get("/health")["status"])
    except Denied:
        health = "not ours to see (set LINESHAFT_TOKEN)"
    nonsense, hides, strangers = _probe(running)
    return msgspec.structs.replace(
        seen,
        is_running=True,
        health=health,
        refuses_nonsense=nonsense,
        hides_internals=hides,
        refuses_strangers=strangers,
        undeclared=tuple(_far_sockets(running, far=not seen.is_loopback_only)),
    )


def _probe(running: Running) -> tuple[bool, bool, bool]:
    with open_client(f"{running.url}/api/v1", roots=running.roots) as client:
        stranger = client.get(
            "/points", headers={"Authorization": "Bearer lst_not-a-token"}
        )
        nonsense = client.get("/history", params={"name": "x", "from": "nonsense"})
    told = nonsense.text
    hides = "Traceback" not in told and ".py" not in told and "code" in told
    return nonsense.status_code in (400, 401), hides, stranger.status_code == 401  # noqa: PLR2004  RFC 9110


def _far_sockets(running: Running, *, far: bool) -> list[str]:
    """Return the sockets of the plant that are reached from afar against its word."""
    if far:
        return []
    return [
        f"{host}:{port} is open to others"
        for host, port in listening(running.pid)
        if not ip_address(host).is_loopback
    ]


def _running(data: Path) -> Running | None:
    for home in (data, data.parent):
        try:
            return find(home)
        except Unreachable:
            continue
    return None


def _people(plant: Plant, policy: Policy) -> People:
    wanted, file = plant.settings.people, plant.data / "people" / "people.sqlite"
    if not file.exists():
        return People(loopback=wanted.loopback)
    with open_store(file) as store:
        known = Accounts(store).all()
        sessions = Sessions(store, wanted).all(now_us())
        tokens = Tokens(store).all()
    _, document = accepted(plant.file, plant.data)
    strange = [each.name for each in known if each.name not in document.subjects]
    return People(
        accounts=len(known),
        disabled=sum(each.disabled for each in known),
        with_second_factor=sum(each.has_codes or each.passkeys > 0 for each in known),
        never_used=sum(not each.seen_us for each in known),
        sessions=len(sessions),
        tokens=len(tokens),
        unknown_to_policy=tuple(strange) if policy.version else (),
        loopback=wanted.loopback,
        second_factor=wanted.second_factor,
        password_days=wanted.password_days,
        idle_min=wanted.idle_min,
        most_sessions=wanted.most_sessions,
        has_banner=bool(wanted.banner),
        single_sign_on=wanted.single_sign_on is not None,
    )


def _policy(plant: Plant) -> tuple[Policy, int]:
    """Return the policy that counts, and how many writable points need two people."""
    number, document = accepted(plant.file, plant.data)
    deciding = Deciding(document)
    file = plant.file.with_name(FILE)
    same = True
    if number and file.exists():
        newest = Versions(plant.data / "policy").get(number)
        same = digest_of(file.read_text("utf-8")) == newest.sha256
    limited = sum(
        point.writable and deciding.approval(Action.WRITE, point.name) is not None
        for point, _, _ in plant.points()
    )
    roles = sorted({grant.role.value for grant in document.grant if grant.role})
    found = Policy(
        version=number,
        subjects=len(document.subjects),
        roles=tuple(roles),
        approvals=len(document.approval),
        tests=len(document.test),
        failing=sum(not each.holds for each in try_all(deciding, now_us())),
        is_file_accepted=same,
    )
    return found, limited


def _audit(plant: Plant) -> Audit | None:
    home, wanted = plant.data / "audit", plant.settings.audit
    if not (home / PUBLIC_KEY).exists():
        return None
    try:
        verdict = verify(home)
        found = list(search(home, verdict.size, Search(limit=MOST_RECORDS)))
    except NotFound:
        return None
    except LineshaftError as error:
        return Audit(problems=(str(error),))
    free = shutil.disk_usage(home).free / (1 << 30)
    little = f"{free:.1f} GiB are left on its disk"
    return Audit(
        entries=verdict.size,
        problems=tuple(verdict.problems),
        kinds=tuple(sorted({each.record.kind for each in found})),
        has_witness=bool(wanted.witness),
        warn_gib=wanted.warn_gib,
        trouble=little if free < wanted.warn_gib / 10 else "",
    )


def _identity(plant: Plant) -> Identity:
    home, wanted = plant.data / "authority", plant.settings.identity
    if not (home / "issuing.pem").exists():
        return Identity(listens=wanted.port is not None)
    read_certificates(home / "issuing.pem")
    with open_register(home) as register:
        issued = register.all()
    newest = {(each.kind, each.name): each for each in reversed(issued)}.values()
    valid = [each for each in newest if each.state is State.VALID]
    return Identity(
        exists=True,
        valid=sum(each.ends > now() for each in valid),
        expired=sum(each.ends <= now() for each in valid),
        revoked=sum(each.state is State.REVOKED for each in issued),
        is_root_here=(home / "root.key").exists(),
        has_passphrase=bool(wanted.passphrase),
        listens=wanted.port is not None,
    )


def _open_to_others(data: Path) -> list[str]:
    return [
        str(file)
        for pattern in SECRETS
        for file in data.rglob(Path(pattern).name)
        if fnmatch.fnmatch(str(file), f"*{pattern}") and file.stat().st_mode & 0o077
    ]


def _installed() -> tuple[int, bool]:
    compared = compare("lineshaft")
    return len(compared.changes), "lineshaft" in compared.editable
