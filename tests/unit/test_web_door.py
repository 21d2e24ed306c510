"""Who comes in over the API, and what they may do there."""

import asyncio
import json
import os
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import msgspec
import pyotp
import pytest

from lineshaft.core.bus.audit import Result
from lineshaft.core.command import Command, Outcome, Verdict
from lineshaft.core.message import read_json
from lineshaft.security.access.enforced import now_us
from lineshaft.security.people.passwords import hashed
from lineshaft.security.people.settings import Settings
from lineshaft.web.api.app import openapi_json
from support.web_plant import PRESS, PastInMemory, WebPlant, asking, points

API = "/api/v1"
GOOD = "a brass valve sings at dusk"
KEPT = hashed(GOOD)
P0, OTHER = f"{PRESS}/p0", "rival/tokyo/oven/p0"
POLICY = """
[subjects.anna]
tenant = "acme"
[subjects.ben]
tenant = "acme"
[subjects.rita]
tenant = "rival"

[[grant]]
name = "anna runs the presses"
who = ["anna"]
on = ["acme/**"]
role = "operator"

[[grant]]
name = "ben looks after them"
who = ["ben"]
on = ["acme/**"]
role = "administrator"

[[grant]]
name = "rita has her own"
who = ["rita"]
on = ["rival/**", "acme/**"]
role = "engineer"

[[approval]]
name = "two for p1"
on = ["acme/osaka/press/p1"]
needed_to = ["write"]
by = ["ben"]
"""


def plant(settings: Settings | None = None) -> WebPlant:
    """Return a plant of two tenants where nobody is recognised without a login."""
    rows = [(name, 1_000_000, 1.0, 0) for name in (P0, OTHER)]
    made = WebPlant(
        [*points(2), *points(1, OTHER.rpartition("/")[0])],
        people=settings,
        past=PastInMemory(rows),  # type: ignore[arg-type]  # a status is a number
    )
    made.caller_uid = None
    made.rule(POLICY)
    for name in ("anna", "ben", "rita"):
        made.people.accounts.make(name, 1)
        made.people.accounts.keep_password(name, KEPT, now_us())
    return made


async def log_in(
    api: httpx.AsyncClient, name: str, password: str = GOOD, code: str = ""
) -> httpx.Response:
    body = {"name": name, "password": password, "code": code}
    return await api.post(f"{API}/session", json=body)


@asynccontextmanager
async def logged_in(made: WebPlant, name: str) -> AsyncIterator[httpx.AsyncClient]:
    async with asking(made) as api:
        assert (await log_in(api, name)).status_code == 201
        yield api


def kinds(made: WebPlant) -> list[tuple[str, str, Result]]:
    return [(record.kind, record.who, record.result) for record in made.audit]


def operations() -> list[tuple[str, str]]:
    described = json.loads(openapi_json())["paths"]
    return [(verb, path) for path, verbs in described.items() for verb in verbs]


OPEN = {
    ("get", f"{API}/session"),
    ("post", f"{API}/session"),
    ("post", f"{API}/session/invited"),
    ("post", f"{API}/session/passkey"),
    ("post", f"{API}/session/passkey/options"),
    ("get", f"{API}/session/sign-on"),
    ("get", f"{API}/session/sign-on/back"),
    ("post", f"{API}/witness/add-checkpoint"),
}
"""What people need before anybody knows them, and logs that sign what they send."""


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer lst_forged"},
        {"authorization": "Basic YW5uYTpwYXNz"},
        {"cookie": "lineshaft-session=forged"},
    ],
)
async def test_without_a_login_no_route_tells_or_does_anything(
    headers: dict[str, str],
) -> None:
    made = plant()
    async with asking(made) as api:
        for verb, path in [*operations(), ("get", "/metrics")]:
            if (verb, path) in OPEN:
                continue
            url = re.sub(r"\{.*?\}", "1", path)
            answer = await api.request(verb, url, headers=headers, json={})
            told = answer.json()
            assert answer.status_code == 401, (verb, path, told)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert "acme" not in answer.text
            assert told["code"] == "LS-4309"


async def test_the_owner_needs_no_login_and_a_proxy_of_theirs_does() -> None:
    made = plant()
    async with asking(made) as api:
        nobody = (await api.get(f"{API}/session")).json()
        made.caller_uid = os.getuid()
        owner = (await api.get(f"{API}/session")).json()
        proxied = await api.get(
            f"{API}/points", headers={"x-forwarded-for": "10.0.0.9"}
        )
    assert (nobody["subject"], owner["is_owner"]) == ("", True)
    assert owner["subject"].startswith("local:")
    assert proxied.status_code == 401


async def test_where_everybody_must_log_in_the_owner_must_too() -> None:
    made = plant(Settings(loopback="login"))
    made.caller_uid = os.getuid()
    async with asking(made) as api:
        assert (await api.get(f"{API}/points")).status_code == 401


async def test_what_is_told_of_a_wrong_password_and_of_nobody_is_the_same() -> None:
    made = plant()
    async with asking(made) as api:
        wrong = await log_in(api, "anna", "wrong")
        nobody = await log_in(api, "annna", "wrong")
    assert wrong.status_code == nobody.status_code == 401
    assert wrong.content == nobody.content
    # Who typed a name that is none may have typed a password: it is not written down.
    assert kinds(made) == [
        ("login.password", "anna", Result.DENIED),
        ("login.password", "", Result.DENIED),
    ]


async def test_a_session_sees_its_tenant_and_nothing_of_another() -> None:
    made = plant()
    async with logged_in(made, "anna") as api:
        seen = [p["name"] for p in (await api.get(f"{API}/points")).json()["points"]]
        top = (await api.get(f"{API}/namespace")).json()
        near = await api.get(f"{API}/namespace", params={"place": "rivel"})
        past = await api.get(f"{API}/history", params={"name": OTHER, "from": "0"})
        now = await api.get(f"{API}/readings", params={"pattern": OTHER})
        written = await api.post(f"{API}/write", json={"name": OTHER, "value": 1})
    assert seen == [P0, f"{PRESS}/p1"]
    assert [place["path"] for place in top["places"]] == ["acme"]
    for answer in (near, past, now, written):
        assert answer.status_code in (400, 404), answer.text
        assert "did you mean" not in answer.text
    async with logged_in(made, "rita") as api:
        points_seen = (await api.get(f"{API}/points")).json()["points"]
    assert [point["name"] for point in points_seen] == [OTHER]


async def test_a_denial_is_written_down_and_names_no_rule_to_whom_it_hits() -> None:
    made = plant()
    async with logged_in(made, "ben") as api:
        answer = await api.post(f"{API}/write", json={"name": P0, "value": 1})
        listed = await api.get(f"{API}/accounts")
    assert answer.status_code == 403
    assert listed.status_code == 200
    assert ("access.write", "ben", Result.DENIED) in kinds(made)
    async with logged_in(made, "anna") as api:
        answer = await api.get(f"{API}/accounts")
    assert answer.status_code == 403
    assert "grant" not in answer.json()["detail"]
    assert made.audit[-1].kind == "access.enrol"


async def test_an_export_is_refused_if_any_of_it_is_not_ones_own() -> None:
    made = plant()
    async with logged_in(made, "rita") as api:
        own = await api.get(f"{API}/export", params={"pattern": "rival/**"})
        every = await api.get(f"{API}/export", params={"pattern": "**"})
    assert own.status_code == 200
    assert every.status_code == 403
    assert P0 not in every.text
    exports = [(r.kind, r.name, r.result) for r in made.audit if "export" in r.kind]
    assert exports == [
        ("export.file", "rival/**", Result.SUCCESS),
        ("access.export", P0, Result.DENIED),
    ]


async def test_an_ended_session_is_refused_at_once_and_a_disabled_account_too() -> None:
    made = plant()
    async with logged_in(made, "anna") as api:
        first = (await api.get(f"{API}/sessions")).json()[0]
        assert first["is_this"]
        made.people.sessions.end(first["id"])
        assert (await api.get(f"{API}/points")).status_code == 401
        await log_in(api, "anna")
        made.people.accounts.disable("anna")
        assert (await api.get(f"{API}/points")).status_code == 401
        assert (await log_in(api, "anna")).status_code == 401


async def test_an_idle_session_looks_on_and_does_nothing_until_it_is_unlocked() -> None:
    made = plant(Settings(idle_min=1e-9))
    async with logged_in(made, "anna") as api:
        assert (await api.get(f"{API}/points")).status_code == 200
        write = {"name": P0, "value": 1}
        locked = await api.post(f"{API}/write", json=write)
        assert (locked.status_code, locked.json()["code"]) == (403, "LS-4318")
        wrong = await api.post(f"{API}/session/unlock", json={"password": "wrong"})
        assert wrong.status_code == 401
    made.people.settings = made.people.sessions._settings = Settings()
    async with asking(made) as api:
        await log_in(api, "anna")
        session = made.people.sessions.all(now_us(), "anna")[0]
        made._files[0].execute("UPDATE sessions SET locked = 1")
        assert (await api.get(f"{API}/session")).json()["locked"]
        right = await api.post(f"{API}/session/unlock", json={"password": GOOD})
        assert (right.status_code, right.json()["id"]) == (200, session.id)
        assert not (await api.get(f"{API}/session")).json()["locked"]


async def test_one_session_more_than_allowed_ends_the_one_idle_for_longest() -> None:
    made = plant(Settings(most_sessions=2))
    async with asking(made) as api:
        for _ in range(3):
            assert (await log_in(api, "anna")).status_code == 201
        assert len((await api.get(f"{API}/sessions")).json()) == 2


async def test_guesses_slow_strangers_down_and_not_the_browser_at_the_line() -> None:
    made = plant()
    async with logged_in(made, "anna") as line:
        async with httpx.AsyncClient(
            transport=line._transport, base_url="http://127.0.0.1:8080"
        ) as stranger:
            answers = [
                (await log_in(stranger, "anna", "wrong")).status_code for _ in range(6)
            ]
            right = await log_in(stranger, "anna")
        assert answers == [401, 401, 401, 401, 401, 429]
        assert right.status_code == 429
        assert int(right.headers["retry-after"]) >= 1
        # Who is in goes on, and gets in again on the browser that is known.
        assert (await line.get(f"{API}/points")).status_code == 200
        assert (await log_in(line, "anna")).status_code == 201


async def test_a_code_of_the_authenticator_app_is_asked_for_and_works_once() -> None:
    made = plant()
    async with logged_in(made, "anna") as api:
        offered = (await api.post(f"{API}/session/codes", json={})).json()
        assert offered["address"].startswith("otpauth://totp/Osaka%20works:anna?")
        app = pyotp.TOTP(offered["key"])
        now = time.time()
        taken = {"key": offered["key"], "code": app.at(now - 30)}
        assert (await api.put(f"{API}/session/codes", json=taken)).status_code == 204
        alone = await log_in(api, "anna")
        assert (alone.status_code, alone.json()["code"]) == (401, "LS-4308")
        assert (await log_in(api, "anna", code="000000")).status_code == 401
        assert (await log_in(api, "anna", code=app.at(now))).status_code == 201
        assert (await log_in(api, "anna", code=app.at(now))).status_code == 401
        how = [each["how"] for each in (await api.get(f"{API}/sessions")).json()]
    assert how == ["password+code", "password"]


async def test_where_a_second_factor_is_required_a_password_alone_opens_nothing() -> (
    None
):
    made = plant(Settings(second_factor="required"))
    async with logged_in(made, "anna") as api:
        assert (await api.get(f"{API}/points")).status_code == 403
        assert "second factor" in (await api.get(f"{API}/session")).json()["lacks"]
        assert (await api.post(f"{API}/session/codes", json={})).status_code == 200


async def test_a_new_password_ends_the_other_sessions_and_must_be_a_good_one() -> None:
    made = plant()
    new = {"old": GOOD, "new": "another fine river of iron"}
    async with logged_in(made, "anna") as api:
        other = made.people.sessions.begin("anna", "password", ("", ""), now_us())[1]
        for bad in (
            "short",
            "password12345",
            "abcdefghijklmnop",
            "anna-anna-anna",
            GOOD,
        ):
            body = {"old": GOOD, "new": bad}
            answer = await api.put(f"{API}/session/password", json=body)
            assert answer.status_code == 409, bad
            assert "will not do" in answer.json()["detail"]
        wrong = {"old": "wrong", "new": new["new"]}
        assert (await api.put(f"{API}/session/password", json=wrong)).status_code == 401
        assert (await api.put(f"{API}/session/password", json=new)).status_code == 204
        assert not made.people.sessions.lives(other.id, now_us())
        assert (await log_in(api, "anna")).status_code == 401
        assert (await log_in(api, "anna", new["new"])).status_code == 201


async def test_the_link_of_the_set_up_makes_the_first_account_once_with_rights() -> (
    None
):
    made = WebPlant(points(2))
    made.caller_uid = None
    code = made.people.set_up()
    assert code
    body = {"code": code, "name": "maria", "password": GOOD}
    async with asking(made) as api:
        poor = await api.post(
            f"{API}/session/invited", json=body | {"password": "maria12345678"}
        )
        made_it = await api.post(f"{API}/session/invited", json=body)
        assert (poor.status_code, made_it.status_code) == (409, 201)
        assert (await api.get(f"{API}/session")).json()["may_manage"]
        again = await api.post(f"{API}/session/invited", json=body | {"name": "eve"})
        assert again.status_code == 401
        invited = (await api.post(f"{API}/accounts", json={"name": "otto"})).json()
    assert made.people.set_up() is None
    async with asking(made) as api:
        body = {"code": invited["code"], "password": "seven grey herons wait"}
        assert (await api.post(f"{API}/session/invited", json=body)).status_code == 201
        # The policy does not speak of otto, so there is nothing for him.
        assert (await api.get(f"{API}/points")).json()["total"] == 0


async def test_a_name_is_never_given_twice() -> None:
    made = plant()
    async with logged_in(made, "ben") as api:
        assert (await api.delete(f"{API}/accounts/anna")).status_code == 204
        again = await api.post(f"{API}/accounts", json={"name": "anna"})
    assert again.status_code == 409
    assert "no name is given twice" in again.json()["detail"]


async def test_a_token_has_some_rights_of_its_subject_in_some_places() -> None:
    made = plant()
    wish = {"label": "report", "actions": ["read"], "places": [P0], "days": 1}
    async with logged_in(made, "anna") as api:
        told = (await api.post(f"{API}/tokens", json=wish)).json()
        stolen = wish | {"subject": "rita"}
        assert (await api.post(f"{API}/tokens", json=stolen)).status_code == 403
    bearer = {"authorization": f"Bearer {told['secret']}"}
    async with asking(made) as api:
        seen = (await api.get(f"{API}/points", headers=bearer)).json()["points"]
        write = {"name": P0, "value": 1}
        written = await api.post(f"{API}/write", headers=bearer, json=write)
        more = await api.post(f"{API}/tokens", headers=bearer, json=wish)
        made.people.tokens.end(told["token"]["id"])
        over = await api.get(f"{API}/points", headers=bearer)
    assert [point["name"] for point in seen] == [P0]
    assert (written.status_code, more.status_code, over.status_code) == (403, 409, 401)


async def test_a_token_ends_when_it_should() -> None:
    made = plant()
    scope, now = ((["read"]), ["**"]), now_us()
    secret, _ = made.people.tokens.make(
        "anna", "x", scope, (now, now + 1_000_000), "anna"  # type: ignore[arg-type]
    )  # fmt: skip
    assert made.people.tokens.find(secret, now)
    assert made.people.tokens.find(secret, now + 1_000_000) is None


async def test_where_two_are_needed_a_write_waits_for_the_second_and_works_once() -> (
    None
):
    made = plant()
    heard: list[Command] = []

    async def device(question: bytes) -> AsyncIterator[bytes]:
        command = read_json(question, Command, "a command")
        heard.append(command)
        done = Outcome(id=command.id, verdict=Verdict.CONFIRMED)
        yield msgspec.json.encode(done)

    write = {"name": f"{PRESS}/p1", "value": 7}
    async with made.bus.answer("commands.press", device):
        async with logged_in(made, "anna") as api:
            asked = await api.post(f"{API}/write", json=write)
            number = asked.json()["id"]
            early = await api.post(f"{API}/write", json=write | {"approval": number})
            own = await api.post(f"{API}/approvals/{number}", json={"approve": True})
            async with httpx.AsyncClient(
                transport=api._transport, base_url="http://127.0.0.1:8080"
            ) as other:
                await log_in(other, "ben")
                listed = (await other.get(f"{API}/approvals")).json()
                agreed = await other.post(
                    f"{API}/approvals/{number}", json={"approve": True}
                )
            more = {"value": 8, "approval": number}
            changed = await api.post(f"{API}/write", json=write | more)
            assert not heard
            done = await api.post(f"{API}/write", json=write | {"approval": number})
            twice = await api.post(f"{API}/write", json=write | {"approval": number})
    assert (asked.status_code, early.status_code, own.status_code) == (202, 409, 403)
    assert [each["what"] for each in listed] == ["7"]
    assert (agreed.status_code, changed.status_code) == (200, 409)
    assert (done.status_code, twice.status_code) == (200, 409)
    assert [(command.by, command.value) for command in heard] == [("anna", 7)]
    told = [kind for kind, _, _ in kinds(made) if kind.startswith(("appr", "comm"))]
    assert told == [
        "approval.asked", "approval.approved", "approval.used", "command.write",
    ]  # fmt: skip


async def test_a_page_that_follows_is_sent_away_when_its_session_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lineshaft.web.api.door import rights
    from lineshaft.web.api.door.callers import Caller, NotLoggedIn
    from lineshaft.web.api.door.rights import Looker

    monkeypatch.setattr(rights, "LOOK_S", 0.01)
    made = plant()
    session = made.people.sessions.begin("anna", "password", ("", ""), now_us())[1]
    caller = Caller("anna", "password", "", session=session)
    looker = Looker(made.rights, caller, made.health)
    changed = asyncio.ensure_future(looker.until_changed())
    await asyncio.sleep(0)
    made.rule(POLICY.replace('on = ["acme/**"]', f'on = ["{P0}"]', 1))
    await asyncio.wait_for(changed, 30)
    assert looker.namespace.names == [P0]
    made.people.sessions.end(session.id)
    with pytest.raises(NotLoggedIn):
        await asyncio.wait_for(looker.until_changed(), 30)


async def test_health_and_events_show_no_machine_of_another_tenant() -> None:
    made = plant()
    other = ("oven", "rival/tokyo/oven/p0")
    made.namespace.take(
        [*points(2), (points(1, "rival/tokyo/oven")[0][0], other[0], "opcua")]
    )
    for name in ("collector.oven", "collector.press/tcp"):
        health = {"service": name, "state": "ok", "since_us": 1}
        made.bus.tell(f"status.{name}", msgspec.json.encode(health))
    async with logged_in(made, "anna") as api:
        text = (await api.get(f"{API}/health")).text
    assert "oven" not in text


async def test_cookies_may_come_in_several_headers_as_browsers_send_them() -> None:
    made = plant()
    secret = made.people.sessions.begin("anna", "password", ("", ""), now_us())[0]
    several = [("cookie", "a=1"), ("cookie", f"lineshaft-session={secret}")]
    async with asking(made) as api:
        answer = await api.get(f"{API}/session", headers=several)
    assert answer.json()["subject"] == "anna"
