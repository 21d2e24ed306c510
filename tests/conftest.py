"""What all tests share: which of them run here."""

import os

import pytest
from hypothesis import settings

# How long an example takes says nothing on a busy machine.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
CORPUS = "LINESHAFT_CORPUS"


def pytest_configure(config: pytest.Config) -> None:
    if CORPUS not in os.environ and not config.option.markexpr:
        config.option.markexpr = "not corpus"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if CORPUS not in os.environ:
        terminalreporter.write_line(
            f"tests marked corpus were deselected: {CORPUS} does not name real data"
        )
