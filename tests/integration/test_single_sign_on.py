"""Single sign-on at oidc-provider, a certified provider that was not written here."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from lineshaft.core.errors import Denied, Unreachable
from lineshaft.core.process.http import fetch
from lineshaft.core.process.ports import free_port
from lineshaft.security.people.login import WRONG
from lineshaft.security.people.settings import Settings, SingleSignOn
from lineshaft.security.people.single_sign_on import SignOn
from support.peers import need_node
from support.web_plant import WebPlant, asking, points

SECRET = "a secret of the test"
BACK = "http://127.0.0.1:8080/api/v1/session/sign-on/back"
POLICY = """
[subjects."anna@acme.example"]
tenant = "acme"
[[grant]]
name = "all"
who = ["anna@acme.example"]
on = ["acme/**"]
role = "viewer"
"""


@asynccontextmanager
async def provider() -> AsyncIterator[str]:
    node, home = need_node("oidc_js")
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        node,
        "server.mjs",
        str(port),
        BACK,
        cwd=home,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            while b"ready" not in await process.stdout.readline():
                assert process.returncode is None
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def settings(issuer: str, **more: str) -> SingleSignOn:
    told = {"issuer": issuer, "client_id": "plant", **more}
    return SingleSignOn.model_validate(told)


def plant(issuer: str, secret: str = SECRET) -> WebPlant:
    wanted = settings(issuer)
    made = WebPlant(points(2), people=Settings(single_sign_on=wanted))
    made.caller_uid = None
    made.people.sign_on = SignOn(wanted, secret, fetch)
    made.rule(POLICY)
    return made


async def log_in_there(where: str, name: str) -> str:
    """Do what a browser and its user do at the provider; return where it leads."""
    issuer = "{0.scheme}://{0.netloc}".format(urlsplit(where))
    async with httpx.AsyncClient(base_url=issuer, trust_env=False) as browser:
        answer = await browser.get(where)
        for _ in range(12):
            while answer.is_redirect:
                to = answer.headers["location"]
                if to.startswith(BACK):
                    return str(to)
                answer = await browser.get(to)
            form = dict(
                re.findall(r'name="(\w+)"[^>]*value="([^"]*)"', answer.text)
            ) | {"login": name, "password": "any"}
            [action] = re.findall(r'<form[^>]*action="([^"]+)"', answer.text)[:1]
            answer = await browser.post(action, data=form)
    raise AssertionError("the provider asks for ever")


async def test_a_person_whom_the_policy_knows_comes_in_without_a_password() -> None:
    async with provider() as issuer:
        made = plant(issuer)
        async with asking(made) as api:
            begun = await api.get("/api/v1/session/sign-on")
            assert begun.status_code == 302
            asked = parse_qs(urlsplit(begun.headers["location"]).query)
            assert asked["code_challenge_method"] == ["S256"]
            back = await log_in_there(begun.headers["location"], "anna")
            # Brought back by another browser, it opens nothing.
            async with httpx.AsyncClient(
                transport=api._transport, base_url="http://127.0.0.1:8080"
            ) as other:
                assert (await other.get(back)).status_code == 401
            entered = await api.get(back)
            assert entered.status_code == 302, entered.text
            who = (await api.get("/api/v1/session")).json()
            seen = (await api.get("/api/v1/points")).json()["total"]
            again = await api.get(back)
    assert (who["subject"], who["how"], seen) == (
        "anna@acme.example", "single sign-on", 2,
    )  # fmt: skip
    assert again.status_code == 401
    assert [r.kind for r in made.audit][:1] == ["login.single-sign-on"]


@pytest.mark.parametrize(
    ("name", "why"),
    [("eve", "has not verified the email"), ("mallory", "not known to the policy")],
)
async def test_whom_the_provider_does_not_vouch_for_stays_outside(
    name: str, why: str
) -> None:
    async with provider() as issuer:
        made = plant(issuer)
        async with asking(made) as api:
            begun = await api.get("/api/v1/session/sign-on")
            back = await log_in_there(begun.headers["location"], name)
            answer = await api.get(back)
    assert answer.status_code == 401
    assert why in made.audit[-1].text
    assert made.people.accounts.all() == []
    assert WRONG


async def test_a_code_that_is_made_up_or_a_wrong_secret_opens_nothing() -> None:
    async with provider() as issuer:
        sign_on = SignOn(settings(issuer), SECRET, fetch)
        where, state = await asyncio.to_thread(sign_on.begin, BACK, 1.0)
        with pytest.raises(Denied, match="did not confirm"):
            await asyncio.to_thread(sign_on.finish, state, "made up", 2.0)
        with pytest.raises(Denied, match="not begun here"):
            await asyncio.to_thread(sign_on.finish, "made up", "made up", 2.0)
        wrong = SignOn(settings(issuer), "wrong", fetch)
        where, state = await asyncio.to_thread(wrong.begin, BACK, 1.0)
        code = parse_qs(urlsplit(await log_in_there(where, "anna")).query)["code"][0]
        with pytest.raises(Denied, match="did not confirm"):
            await asyncio.to_thread(wrong.finish, state, code, 2.0)


async def test_a_provider_that_is_away_or_speaks_for_another_is_told_so() -> None:
    away = SignOn(settings(f"http://127.0.0.1:{free_port()}"), "", fetch)
    with pytest.raises(Unreachable, match="does not answer"):
        await asyncio.to_thread(away.begin, BACK, 1.0)
    async with provider() as issuer:
        other = issuer.replace("127.0.0.1", "localhost")
        with pytest.raises(Unreachable, match="speaks for"):
            await asyncio.to_thread(SignOn(settings(other), "", fetch).begin, BACK, 1.0)
