"""What all tests share: which of them run here."""

import os

import pytest

CORPUS = "LINESHAFT_CORPUS"


def pytest_configure(config: pytest.Config) -> None:
    if CORPUS not in os.environ and not config.option.markexpr:
        config.option.markexpr = "not corpus"


def pytest_report_header(config: pytest.Config) -> str:
    if CORPUS in os.environ:
        return f"real data: {os.environ[CORPUS]}"
    return f"real data: none, {CORPUS} is not set; tests marked corpus are deselected"
