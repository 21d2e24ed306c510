"""The short forms of `make torture`: nothing is lost, and files stay few."""

from pathlib import Path

import pytest

from torture import day
from torture.plant import VICTIMS
from torture.run import run


@pytest.mark.timeout(400)
@pytest.mark.xdist_group("torture")
async def test_whatever_is_killed_every_confirmed_reading_is_there_once(
    tmp_path: Path,
) -> None:
    report = await run(len(VICTIMS), 1, tmp_path)
    assert report.holds, report.as_text()
    assert report.verdict is not None
    assert report.verdict.confirmed > 10_000
    assert report.verdict.devices > 10_000


@pytest.mark.timeout(400)
@pytest.mark.xdist_group("torture")
async def test_a_day_of_load_in_a_few_seconds_is_stored_once_in_few_files(
    tmp_path: Path,
) -> None:
    report = await day.run(0.3, 20, tmp_path)
    assert (report.stored, report.wrong) == (report.readings, 0)
    assert 0 < report.data_files <= day.MOST_FILES
    assert 0 < report.log_files <= day.MOST_FILES
