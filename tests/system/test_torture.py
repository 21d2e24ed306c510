"""The short form of `make torture`: each process is killed once, nothing is lost."""

from pathlib import Path

import pytest

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
