"""The exposition, read by a parser that was not written here."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from lineshaft.core.health import Health, State
from lineshaft.core.health.meaning import (
    Gatherer,
    Kind,
    Meaning,
    Spread,
    counter,
    gauge,
)
from lineshaft.web.health.openmetrics import openmetrics

READ = counter("collector_readings", "Readings that were sent.")
AGE = gauge("collector_age", "Age of the last value.", "seconds")
ERRORS = counter("collector_errors", "Errors.", label="code")
LATENCY = Meaning(Kind.HISTOGRAM, "collector_latency", "seconds", "On the way.")


def health(service: str = "collector.press/left", **more: object) -> Health:
    told: dict[str, object] = {"state": State.OK, "since_us": 1_500_000, **more}
    return Health(service=service, **told)  # type: ignore[arg-type]  # for brevity


def parsed(*told: Health) -> Mapping[str, Metric]:
    text = openmetrics([(each, 0.25) for each in told]).decode()
    families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return {family.name: family for family in families}


def value(family: Metric, name: str, **labels: str) -> float:
    [sample] = [
        each
        for each in family.samples
        if each.name == name and labels.items() <= each.labels.items()
    ]
    return float(sample.value)


def test_a_figure_has_its_kind_unit_sentence_and_device() -> None:
    told = health(
        figures={"n": 7, "age": 0.5, "driver": "opcua"},
        meanings={"n": READ, "age": AGE},
    )
    found = parsed(told)
    readings, age = (
        found["lineshaft_collector_readings"],
        found["lineshaft_collector_age_seconds"],
    )
    assert (readings.type, age.type, age.unit) == ("counter", "gauge", "seconds")
    assert readings.documentation == "Readings that were sent."
    labels = {"device": "press", "connection": "left"}
    assert value(readings, "lineshaft_collector_readings_total", **labels) == 7
    assert value(age, "lineshaft_collector_age_seconds", **labels) == 0.5


def test_one_state_of_a_service_is_set() -> None:
    found = parsed(health("historian", state=State.DEGRADED))
    family = found["lineshaft_service_state"]
    assert family.type == "stateset"
    states = {s.labels["lineshaft_service_state"]: s.value for s in family.samples}
    assert states == {"ok": 0, "degraded": 1, "down": 0}
    since = found["lineshaft_service_since_seconds"]
    assert value(since, "lineshaft_service_since_seconds") == 1.5
    silence = found["lineshaft_service_silence_seconds"]
    assert value(silence, "lineshaft_service_silence_seconds") == 0.25


def test_errors_are_told_by_code() -> None:
    told = health(tables={"e": {"LS-2102": 3, "LS-2019": 1}}, meanings={"e": ERRORS})
    family = parsed(told)["lineshaft_collector_errors"]
    assert value(family, "lineshaft_collector_errors_total", code="LS-2102") == 3
    assert value(family, "lineshaft_collector_errors_total", code="LS-2019") == 1


def test_a_spread_is_a_histogram_whose_buckets_sum_up() -> None:
    gathered = Gatherer((0.1, 1.0))
    gathered.add(np.array([-0.5, 0.05, 0.1, 0.5, 7.0]))
    told = health(spreads={"l": gathered.spread()}, meanings={"l": LATENCY})
    family = parsed(told)["lineshaft_collector_latency_seconds"]
    bucket = "lineshaft_collector_latency_seconds_bucket"
    found = {s.labels["le"]: s.value for s in family.samples if s.name == bucket}
    assert found == {"0.1": 3, "1.0": 4, "+Inf": 5}
    total = value(family, "lineshaft_collector_latency_seconds_sum")
    assert total == pytest.approx(7.65)


def test_a_figure_without_a_meaning_is_of_unknown_kind() -> None:
    family = parsed(health("north", figures={"odd-key": 1}))
    assert family["lineshaft_figure_odd_key"].type == "unknown"


def test_a_family_stands_in_one_block_whoever_tells_of_it() -> None:
    one = health("collector.a", figures={"n": 1}, meanings={"n": READ})
    two = health("collector.b", figures={"n": 2}, meanings={"n": READ})
    family = parsed(one, health("web"), two)["lineshaft_collector_readings"]
    assert [sample.value for sample in family.samples] == [1, 2]


def test_who_uses_a_name_for_something_else_is_left_out() -> None:
    one = health("a", figures={"n": 1}, meanings={"n": READ})
    other = gauge("collector_readings", "Something else.")
    two = health("b", figures={"n": 2}, meanings={"n": other})
    family = parsed(one, two)["lineshaft_collector_readings"]
    assert [sample.labels["service"] for sample in family.samples] == ["a"]


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]))
NUMBER = st.floats(allow_nan=False) | st.integers(-(2**53), 2**53)


@given(TEXT | st.just('a"\\n\n'), TEXT, NUMBER, st.text('ab\\n"\n', max_size=6))
def test_whatever_is_told_can_be_parsed(
    service: str, text: str, number: float, row: str
) -> None:
    told = health(
        service,
        figures={text: number, "g": number},
        tables={"t": {row: 1}},
        spreads={"s": Spread((1.0,), (2, 3), 4.0)},
        meanings={"g": gauge("g", text), "t": ERRORS, "s": LATENCY},
    )
    found = parsed(told)
    sample = found["lineshaft_g"].samples[0]
    assert sample.labels["service"] == service
    assert sample.value == number or math.isinf(number)
    [errors] = found["lineshaft_collector_errors"].samples
    assert errors.labels["code"] == row
