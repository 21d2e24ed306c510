from hypothesis import given
from hypothesis import strategies as st

from lineshaft.core.name import check_name
from lineshaft.core.point import Kind
from lineshaft.network.drivers.modbus.address import Area, parse_address
from lineshaft.network.drivers.modbus.meters import (
    INPUTS,
    UNITS,
    Disturbance,
    energy_kwh,
    fault_at,
    input_registers,
    point_list,
    values_at,
)

MOMENTS = st.floats(1_736_000_000, 1_900_000_000)


@given(MOMENTS, st.sampled_from(UNITS), st.floats(1, 86_400))
def test_the_counter_rises_by_what_the_power_says(
    time_s: float, unit: int, span_s: float
) -> None:
    steps = 2000
    powers = [
        float(values_at(unit, time_s + span_s * (step + 0.5) / steps)["active_power"])
        for step in range(steps)
    ]
    risen = energy_kwh(unit, time_s + span_s) - energy_kwh(unit, time_s)
    assert risen > 0
    assert abs(risen - sum(powers) / steps * span_s / 3600) < 0.02 * risen + 1e-6


@given(MOMENTS, st.sampled_from(UNITS), st.booleans())
def test_values_are_plausible_and_fit_into_the_registers(
    time_s: float, unit: int, relay: bool
) -> None:
    values = values_at(unit, time_s, relay=relay)
    assert 220 < float(values["voltage_l1"]) < 240
    assert 0.8 < float(values["power_factor"]) < 1
    assert (float(values["active_power"]) > 0) == relay
    assert 49.9 < float(values["frequency"]) < 50.1
    registers = input_registers(values)
    assert len(registers) == INPUTS == 36
    assert all(0 <= word <= 0xFFFF for word in registers)


def test_the_point_list_is_valid_and_unique() -> None:
    points = point_list("demo/plant/energy")
    assert len(points) == len({point.name for point in points}) == 48
    for point in points:
        check_name(point.name)
        address = parse_address(point.address)
        assert address.area.is_writable == (
            point.writable or address.area is Area.HOLDING
        )
    assert {point.type for point in points} == set(Kind)


def test_faults_take_turns_and_pass() -> None:
    assert fault_at(5, 0, UNITS) is None
    assert fault_at(59, 60, UNITS) is None
    assert fault_at(60 + 24.1, 60, UNITS) is None
    faults = [fault_at(60 * turn + 10, 60, UNITS) for turn in (1, 2, 3, 4)]
    assert [fault and (fault.unit, fault.kind, fault.age_s) for fault in faults] == [
        (1, Disturbance.STUCK, 10),
        (2, Disturbance.DRIFT, 10),
        (3, Disturbance.SILENT, 10),
        (1, Disturbance.STUCK, 10),
    ]
