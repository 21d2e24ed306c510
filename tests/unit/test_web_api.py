"""What the HTTP API promises, asked without a server."""

import getpass
import json
import logging
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest

from lineshaft.core.command import Command, Outcome, Verdict
from lineshaft.core.errors import Refused
from lineshaft.core.event import Event, Severity, encode_event
from lineshaft.core.health import EVERY_S, Health, State
from lineshaft.core.point import Point
from lineshaft.core.reading import GOOD, Value, bad
from lineshaft.security.data.gate import Gate
from lineshaft.security.data.settings import Settings as DataSettings
from lineshaft.web.api.app import openapi_json
from lineshaft.web.page import read_files
from lineshaft.web.shapes import Level
from support.web_plant import PRESS, PastInMemory, WebPlant, asking, points

P0, P1 = f"{PRESS}/p0", f"{PRESS}/p1"
API = "/api/v1"
SECOND = 1_000_000


async def test_readings_are_the_newest_of_each_point_and_tell_what_was_never_read() -> (
    None
):
    plant = WebPlant(points(2))
    async with asking(plant) as api:
        await plant.say((P0, 2 * SECOND, 1.5), (P0, 1 * SECOND, 9.0))
        await plant.heard()
        answer = await api.get(f"{API}/readings?pattern={PRESS}/**")
    assert answer.json() == [
        {
            "name": P0,
            "value": 1.5,
            "quality": "good",
            "reason": "",
            "time": "1970-01-01T00:00:02.000000Z",
            "unit": "mm",
        },
        {
            "name": P1,
            "value": None,
            "quality": "bad",
            "reason": "never read",
            "time": None,
            "unit": "mm",
        },
    ]


async def test_every_kind_of_value_arrives_as_it_was_said() -> None:
    plant = WebPlant(points(5))
    said: list[Value | None] = [1.25, 1 << 53, True, "läuft", None]
    async with asking(plant) as api:
        rows = [(f"{PRESS}/p{i}", SECOND, value) for i, value in enumerate(said)]
        await plant.say(*rows)
        await plant.heard()
        answer = await api.get(f"{API}/readings")
    assert [reading["value"] for reading in answer.json()] == said


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
async def test_what_is_no_number_is_null(number: float) -> None:
    past = PastInMemory([(P0, SECOND, number, bad("broken wire"))])
    plant = WebPlant(points(1), past=past)
    async with asking(plant) as api:
        await plant.say((P0, 2 * SECOND, number), status=bad("broken wire"))
        await plant.heard()
        [reading] = (await api.get(f"{API}/readings")).json()
        query = f"name={P0}&from=1970-01-01&to=1970-01-02"
        [series] = (await api.get(f"{API}/history?{query}")).json()["series"]
    assert (reading["value"], reading["reason"]) == (None, "broken wire")
    assert series["value"] == [None]


async def test_a_misspelt_point_is_not_found_and_the_nearest_is_named() -> None:
    plant = WebPlant()
    asked = [
        f"readings?pattern={PRESS}/pO",
        "readings?pattern=acme/osaca/press/p0",
        "history?name=acme/osaka/pres/p0",
        f"history?name={PRESS}/pp0&every=1m",
    ]
    async with asking(plant) as api:
        answers = [await api.get(f"{API}/{path}") for path in asked]
    for answer in answers:
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert f"did you mean '{PRESS}/p" in answer.json()["detail"]


async def test_a_pattern_that_means_nothing_finds_nothing() -> None:
    async with asking(WebPlant()) as api:
        answer = await api.get(f"{API}/readings?pattern=acme/kobe/**")
    assert (answer.status_code, answer.json()) == (200, [])


async def test_patterns_may_be_repeated() -> None:
    async with asking(WebPlant()) as api:
        answer = await api.get(f"{API}/readings?pattern={P1}&pattern=**/p0")
    assert [reading["name"] for reading in answer.json()] == [P1, P0]


async def test_the_namespace_opens_level_by_level() -> None:
    plant = WebPlant([*points(2), *points(1, "acme/kobe")])
    async with asking(plant) as api:
        top = (await api.get(f"{API}/namespace")).json()
        acme = (await api.get(f"{API}/namespace?place=acme")).json()
        press = (await api.get(f"{API}/namespace?place={PRESS}/")).json()
        wrong = await api.get(f"{API}/namespace?place=acme/osaka/pres")
    assert top["places"] == [{"name": "acme", "path": "acme", "points": 3}]
    assert [(p["name"], p["points"]) for p in acme["places"]] == [
        ("kobe", 1),
        ("osaka", 2),
    ]
    assert (press["place"], press["places"]) == (PRESS, [])
    assert [p["name"] for p in press["points"]] == [P0, P1]
    assert press["points"][0]["protocol"] == "opcua"
    assert wrong.status_code == 404
    assert wrong.json()["detail"].endswith(f"did you mean {PRESS!r}?")


async def test_points_are_found_by_words_and_told_page_by_page() -> None:
    described = Point(name=f"{PRESS}/force", address="9", description="Ram Force, left")
    plant = WebPlant([*points(30), (described, "press", "opcua")])
    async with asking(plant) as api:
        words = (await api.get(f"{API}/points?search=LEFT ram")).json()
        page = (await api.get(f"{API}/points?limit=2&offset=30")).json()
        both = (await api.get(f"{API}/points?pattern=*/kobe/**&search=ram")).json()
    assert [point["name"] for point in words["points"]] == [described.name]
    assert (page["total"], len(page["points"])) == (31, 1)
    assert both == {"total": 0, "points": []}


async def test_history_tells_every_reading_as_columns() -> None:
    rows = [(P0, each * SECOND, float(each), GOOD) for each in range(5)]
    plant = WebPlant(
        points(1), past=PastInMemory([*rows, (P0, 5 * SECOND, None, bad("x"))])
    )
    span = "from=1970-01-01T00:00:03Z&to=1970-01-01T00:00:06Z"
    async with asking(plant) as api:
        answer = (await api.get(f"{API}/history?name={P0}&{span}")).json()
        short = (await api.get(f"{API}/history?name={P0}&{span}&limit=2")).json()
    assert (answer["every_s"], answer["more"], short["more"]) == (None, [], [P0])
    assert answer["series"] == [
        {
            "name": P0,
            "unit": "mm",
            "time": [f"1970-01-01T00:00:0{each}.000000Z" for each in (3, 4, 5)],
            "value": [3.0, 4.0, None],
            "quality": ["good", "good", "bad"],
            "reason": ["", "", "x"],
        }
    ]
    assert short["series"][0]["value"] == [3.0, 4.0]


async def test_a_gap_in_the_history_is_seen_as_buckets_of_null() -> None:
    rows = [(P0, each * SECOND, 1.5, GOOD) for each in (0, 25)]
    plant = WebPlant(points(1), past=PastInMemory(rows))
    span = "from=1970-01-01T00:00:00Z&to=1970-01-01T00:00:30Z"
    async with asking(plant) as api:
        answer = await api.get(f"{API}/history?name={P0}&{span}&every=10s")
    [series] = answer.json()["series"]
    assert answer.json()["every_s"] == 10.0
    assert (series["count"], series["mean"]) == ([1, 0, 1], [1.5, None, 1.5])
    assert set(series) == {
        "name", "unit", "time", "min", "max", "mean", "time_mean", "first", "last",
        "count", "good",
    }  # fmt: skip


async def test_what_is_recorded_but_not_configured_any_more_has_a_past() -> None:
    past = PastInMemory([("old/plant/p", SECOND, 1.0, GOOD)])
    async with asking(WebPlant(past=past)) as api:
        query = "name=old/plant/p&from=1970-01-01&to=1970-01-02"
        answer = await api.get(f"{API}/history?{query}")
    assert answer.json()["series"][0]["value"] == [1.0]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("from=yesterday", "'yesterday' is not a time"),
        ("from=-5", "'5' is not a duration"),
        ("from=-5m&to=-10m", "ends (-10m) before it begins (-5m)"),
        ("every=10", "'10' is not a duration"),
        ("every=0s", "'0s' is not a duration"),
        ("every=-1s", "'-1s' is not a duration"),
        ("from=-1000d&every=1ms", "ask for longer ones"),
        ("limit=0", "limit:"),
        ("limit=many", "limit:"),
        ("&".join(f"name=a/b{each}" for each in range(50)), "51 points at once"),
    ],
)
async def test_a_bad_parameter_is_named(query: str, said: str) -> None:
    async with asking(WebPlant()) as api:
        answer = await api.get(f"{API}/history?name={P0}&{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.json()["detail"]
    assert answer.json()["status"] == 400


async def test_a_name_must_be_given_for_history() -> None:
    async with asking(WebPlant()) as api:
        answer = await api.get(f"{API}/history")
    assert answer.status_code == 400
    assert "name" in answer.json()["detail"]


async def test_while_the_historian_is_away_only_the_past_is_missing() -> None:
    plant = WebPlant(past=PastInMemory(away=True))
    async with asking(plant) as api:
        await plant.say((P0, SECOND, 1.0))
        await plant.heard()
        [reading] = (await api.get(f"{API}/readings?pattern={P0}")).json()
        past = await api.get(f"{API}/history?name={P0}")
        export = await api.get(f"{API}/export?pattern=**")
    assert reading["value"] == 1.0
    assert (past.status_code, export.status_code) == (503, 503)
    assert past.json()["detail"] == "the historian does not answer"


@pytest.mark.parametrize(
    ("form", "media"),
    [
        ("csv", "text/csv; charset=utf-8"),
        ("json", "application/json"),
        ("parquet", "application/vnd.apache.parquet"),
        ("arrow", "application/vnd.apache.arrow.stream"),
    ],
)
async def test_an_export_is_a_file_of_its_kind(form: str, media: str) -> None:
    past = PastInMemory([(P0, each * SECOND, each, GOOD) for each in range(3)])
    query = f"pattern=**&from=1970-01-01&to=1970-01-02&format={form}"
    async with asking(WebPlant(past=past)) as api:
        answer = await api.get(f"{API}/export?{query}")
    assert answer.headers["content-type"] == media
    assert f'filename="readings.{form}"' in answer.headers["content-disposition"]
    lines = [f"{form} {P0} 0 0", f"{form} {P0} 1000000 1", f"{form} {P0} 2000000 2"]
    assert answer.text.splitlines() == lines


async def test_an_export_that_cannot_begin_is_a_problem_and_no_file() -> None:
    async with asking(WebPlant()) as api:
        unknown = await api.get(f"{API}/export?pattern=**&format=xls")
        wrong = await api.get(f"{API}/export?pattern=a/[b")
        backwards = await api.get(f"{API}/export?pattern=**&from=now&to=-1h")
    assert unknown.status_code == 400
    assert "format" in unknown.json()["detail"]
    assert (wrong.status_code, backwards.status_code) == (404, 400)


LABELS = """
region = "cn"
[[label]]
on = ["acme/osaka"]
class = "production"
grade = "general"
[[label]]
on = ["acme/osaka/press/p1"]
class = "management"
grade = "important"
[[approval]]
id = "2026-17"
by = "head of data"
stage = "leave"
on = ["acme/osaka/press"]
region = "de"
until = 2100-01-01T00:00:00Z
"""


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        (f"pattern={P0}", 200, "general; production"),
        ("pattern=**", 403, "labelled important; management, production"),
        ("pattern=**&region=de", 200, "important; management, production"),
        ("pattern=**&region=us", 403, "leave the country"),
        ("pattern=acme/kyoto/x", 403, "has no label is not handed out (acme/kyoto/x)"),
        ("pattern=a/[b", 404, "not a pattern"),
    ],
)
async def test_an_export_passes_the_gate_and_carries_its_label(
    query: str, status: int, said: str
) -> None:
    names = (P0, P1, "acme/kyoto/x") if "kyoto" in query else (P0, P1)
    past = PastInMemory([(name, SECOND, 1.0, GOOD) for name in names])
    gate = Gate(DataSettings.model_validate(tomllib.loads(LABELS)))
    plant = WebPlant(past=past, gate=gate)
    span = "from=1970-01-01&to=1970-01-02"
    async with asking(plant) as api:
        answer = await api.get(f"{API}/export?{query}&{span}")
    assert answer.status_code == status
    if status == 200:
        assert answer.headers["lineshaft-data-label"] == said
    else:
        assert said in answer.json()["detail"]
        assert "lineshaft-data-label" not in answer.headers


async def answer_write(
    plant: WebPlant, body: object
) -> tuple[httpx.Response, list[Command]]:
    asked: list[Command] = []

    async def device(question: bytes) -> AsyncIterator[bytes]:
        command = msgspec.json.decode(question, type=Command)
        asked.append(command)
        if command.value == "break":
            raise Refused("this is not for me")
        verdict = Verdict.REFUSED if command.value == 99 else Verdict.CONFIRMED
        reason = "out of range" if command.value == 99 else ""
        yield msgspec.json.encode(
            Outcome(id=command.id, verdict=verdict, reason=reason)
        )

    async with asking(plant) as api, plant.bus.answer("commands.press", device):
        return await api.post(f"{API}/write", json=body), asked


async def test_a_confirmed_write_says_so() -> None:
    answer, [command] = await answer_write(WebPlant(), {"name": P0, "value": 5})
    assert answer.status_code == 200
    told = {"id": command.id, "verdict": "confirmed", "reason": "", "answer": ""}
    assert answer.json() == told
    assert (command.name, command.value, command.by) == (
        P0,
        5,
        f"local:{getpass.getuser()}",
    )


@pytest.mark.parametrize(
    ("value", "reason"), [(99, "out of range"), ("break", "this is not for me")]
)
async def test_a_refused_write_tells_the_reason_of_the_device(
    value: object, reason: str
) -> None:
    answer, asked = await answer_write(WebPlant(), {"name": P0, "value": value})
    assert (answer.status_code, len(asked)) == (409, 1)
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert (said["verdict"], said["reason"], said["status"]) == ("refused", reason, 409)
    assert reason in said["detail"]


async def test_a_write_that_nobody_answers_is_unknown_and_sent_once() -> None:
    async with asking(WebPlant()) as api:
        answer = await api.post(f"{API}/write", json={"name": P0, "value": 1})
    assert answer.status_code == 504
    assert answer.json()["verdict"] == "unknown"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"name": f"{PRESS}/pO", "value": 1}, 404, "did you mean"),
        ({"name": P0}, 400, "value"),
        ({"name": P0, "value": [1]}, 400, "value"),
        ({"name": P0, "value": None}, 400, "value"),
        ({"name": P0, "value": 1, "timeout_s": 1e9}, 400, "timeout_s"),
        ({"name": P0, "value": 1, "timeoutt": 1}, 400, "timeoutt"),
    ],
)
async def test_a_write_that_makes_no_sense_is_not_sent(
    body: object, status: int, said: str
) -> None:
    answer, asked = await answer_write(WebPlant(), body)
    assert (answer.status_code, asked) == (status, [])
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 400),
        ({"content-type": "application/x-www-form-urlencoded"}, 400),
        ({"content-type": "application/json", "origin": "http://evil.example"}, 403),
        ({"content-type": "application/json", "origin": "null"}, 403),
        ({"content-type": "application/json", "origin": "http://127.0.0.1:9"}, 403),
    ],
)
async def test_the_page_of_another_site_cannot_write(
    headers: dict[str, str], status: int
) -> None:
    body = json.dumps({"name": P0, "value": 1})
    async with asking(WebPlant()) as api:
        answer = await api.post(f"{API}/write", content=body, headers=headers)
    assert answer.status_code == status


async def test_our_own_page_can_write() -> None:
    own = {"origin": "http://127.0.0.1:8080"}
    async with asking(WebPlant()) as api:
        body = {"name": P0, "value": 1}
        answer = await api.post(f"{API}/write", json=body, headers=own)
    assert answer.json()["verdict"] == "unknown"  # nobody answers here


async def test_a_name_that_another_site_controls_reaches_nothing() -> None:
    paths = ["/", "/nothing", f"{API}/readings", f"{API}/openapi.json", f"{API}/health"]
    hosts = ["evil.example", "127.0.0.1.evil.example:8080", "", "[::1", "10.0.0.5"]
    async with asking(WebPlant()) as api:
        for path in paths:
            for host in hosts:
                answer = await api.get(path, headers={"host": host})
                assert answer.status_code == 403, (path, host)
        for host in ("localhost:8080", "127.0.0.1", "[::1]:8080", "LOCALHOST"):
            assert (await api.get("/", headers={"host": host})).status_code == 200


async def test_every_answer_carries_the_security_headers() -> None:
    paths = ["/", "/no", f"{API}/health", f"{API}/history", f"{API}/export?pattern=**"]
    async with asking(WebPlant()) as api:
        for path in paths:
            headers = (await api.get(path)).headers
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert "unsafe-eval" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert "access-control-allow-origin" not in headers


async def test_a_large_body_is_refused() -> None:
    body = json.dumps({"name": P0, "value": "x" * 100_000})
    kind = {"content-type": "application/json"}
    async with asking(WebPlant()) as api:
        answer = await api.post(f"{API}/write", content=body, headers=kind)
    assert answer.status_code == 413


async def test_an_unknown_path_is_a_problem_that_names_the_way() -> None:
    async with asking(WebPlant()) as api:
        answer = await api.get(f"{API}/reading")
        wrong = await api.put(f"{API}/write", json={})
    assert (answer.status_code, wrong.status_code) == (404, 405)
    assert "/api/v1/openapi.json" in answer.json()["detail"]


async def test_a_fault_of_ours_leaves_a_traceback_but_tells_nothing_outside(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(place: str) -> Level:
        raise KeyError("secret")

    plant = WebPlant()
    plant.namespace.level = broken  # type: ignore[method-assign]  # a fault
    async with asking(plant) as api:
        with caplog.at_level(logging.ERROR):
            answer = await api.get(f"{API}/namespace")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "secret" in caplog.text


async def test_health_says_who_gave_no_sign_of_life() -> None:
    plant = WebPlant(services=("historian", "web"))
    async with asking(plant) as api:
        await plant.bus.until(lambda: plant.bus.told)
        answer = (await api.get(f"{API}/health")).json()
    assert (answer["status"], answer["plant"], answer["demo"]) == (
        "degraded",
        "Osaka works",
        True,
    )
    assert answer["reasons"] == ["historian: no sign of life yet"]


async def test_health_is_as_bad_as_its_worst_room_and_says_why() -> None:
    plant = WebPlant(services=("historian", "web"))
    tell = plant.bus.tell

    def state(service: str, state: State, reason: str = "") -> None:
        said = Health(service=service, state=state, reason=reason, since_us=SECOND)
        tell(f"status.{service}", msgspec.json.encode(said))

    async def status(api: httpx.AsyncClient, service: str, reason: str) -> str:
        await plant.bus.until(
            lambda: any(
                (s.service, s.reason) == (service, reason)
                for s in plant.health.plant().services
            )
        )
        return str((await api.get(f"{API}/health")).json()["status"])

    async with asking(plant) as api:
        await plant.bus.until(lambda: plant.bus.told)
        state("historian", State.OK)
        assert await status(api, "historian", "") == "ok"
        state("collector.press", State.DOWN, "no answer")
        assert await status(api, "collector.press", "no answer") == "degraded"
        tell("status.x", b"not one of ours")
        state("historian", State.DOWN, "disk full")
        assert await status(api, "historian", "disk full") == "down"
        reasons = (await api.get(f"{API}/health")).json()["reasons"]
    assert reasons == ["collector.press: no answer", "historian: disk full"]
    assert EVERY_S > 0


async def test_events_are_told_newest_first_and_by_kind() -> None:
    plant = WebPlant()
    async with asking(plant) as api:
        for number, kind in enumerate(
            ["device.silent", "command.refused", "device.back"]
        ):
            event = Event(
                kind=kind,
                source="press",
                text=f"event {number}",
                severity=Severity.WARNING,
                time_us=number * SECOND,
                detail={"n": number},
            )
            await plant.bus.publish(f"events.{kind}", encode_event(event), kind)
        await plant.bus.publish("events.odd", b"{}", "odd")
        await plant.bus.until(lambda: len(plant.events.newest(9, "*")) == 3)
        everything = (await api.get(f"{API}/events")).json()
        devices = (await api.get(f"{API}/events?kind=device.*&limit=1")).json()
    assert [event["text"] for event in everything] == ["event 2", "event 1", "event 0"]
    assert devices == [
        {
            "kind": "device.back",
            "source": "press",
            "text": "event 2",
            "severity": "warning",
            "time": "1970-01-01T00:00:02.000000Z",
            "detail": {"n": 2},
            "code": "",
        }
    ]


async def test_the_api_describes_itself_without_a_server_and_always_alike() -> None:
    described = json.loads(openapi_json())
    async with asking(WebPlant()) as api:
        served = await api.get(f"{API}/openapi.json")
    assert served.content == openapi_json()
    assert described["openapi"].startswith("3.1")
    operations = [op for path in described["paths"].values() for op in path.values()]
    assert {op["operationId"] for op in operations} >= {
        "exportReadings", "findPoints", "getEvents", "getHealth", "getHistory",
        "getNamespace", "getReadings", "writeValue", "logIn", "decideApproval",
    }  # fmt: skip
    for operation in operations:
        assert operation["summary"]
        assert operation["description"]
        for status, answer in operation["responses"].items():
            good = int(status) < 400
            if status in ("204", "302") or "text/x.tlog.size" in answer["content"]:
                continue
            problem = set(answer["content"]) == {"application/problem+json"}
            assert good != problem, (operation["operationId"], status)
    export = described["paths"][f"{API}/export"]["get"]["responses"]["200"]["content"]
    assert "text/csv" in export
    assert "application/vnd.apache.parquet" in export
    assert b'"oneOf"' not in openapi_json()


def test_the_files_of_the_page_are_kept_as_long_as_they_are_right(
    tmp_path: Path,
) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "assets" / "app-8f3a.js").write_text("1")
    (tmp_path / ".hash").write_text("not a file of the page")
    files = read_files(tmp_path)
    assert set(files) == {"index.html", "assets/app-8f3a.js"}
    assert files["index.html"].cache == "no-cache"
    assert "immutable" in files["assets/app-8f3a.js"].cache
    assert "javascript" in files["assets/app-8f3a.js"].media_type


def test_without_a_page_there_is_one_that_says_how_to_build_it(tmp_path: Path) -> None:
    page = read_files(tmp_path / "missing")["index.html"].data.decode()
    assert "make setup" in page
    assert "/api/v1/openapi.json" in page
