"""The log: one line for each record, with a code, and never with a secret."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.core.errors import LineshaftError, Refused, Unreachable
from lineshaft.core.process.journal import STRUCK, Form, Redactor, begin, chosen
from lineshaft.settings.secrets import secrets_of

SECRET = 'hunter"2\\x'


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """Keep what beginning a log changes in the process."""
    root, hook, level = logging.getLogger(), sys.excepthook, logging.getLogger().level
    before = list(root.handlers)
    yield logging.getLogger("lineshaft.test")
    root.handlers, sys.excepthook = before, hook
    root.setLevel(level)
    logging.captureWarnings(False)


@contextmanager
def tell(log: logging.Logger) -> Iterator[None]:
    try:
        yield
    except LineshaftError:
        log.exception("broke")


def written(form: Form) -> io.StringIO:
    handler = begin("historian", "debug", form, [SECRET])
    assert isinstance(handler, logging.StreamHandler)
    out = io.StringIO()
    handler.setStream(out)
    return out


def test_a_record_is_one_json_line_with_time_level_service_code_and_fields(
    log: logging.Logger,
) -> None:
    out = written(Form.JSON)
    log.warning("line one\nline %d", 2, extra={"code": "LS-2102", "device": "m1"})
    [line] = out.getvalue().splitlines()
    told = json.loads(line)
    assert told.pop("time").endswith("Z")
    assert told == {
        "level": "warning",
        "service": "historian",
        "code": "LS-2102",
        "message": "line one\nline 2",
        "logger": "lineshaft.test",
        "fields": {"device": "m1"},
    }


@pytest.mark.parametrize("form", list(Form))
def test_secrets_are_struck_out_of_messages_fields_and_tracebacks(
    log: logging.Logger, form: Form
) -> None:
    out = written(form)
    address = "nats://bob:longpassword@10.0.0.5:4222"
    log.error("the bus at %s: %s", address, SECRET, extra={"password_file": SECRET})
    log.error(json.dumps({"password": "other", "inside": SECRET}))
    with tell(log):
        raise Refused(f"not with {SECRET!r} and token=abcdef")
    said = out.getvalue()
    assert "10.0.0.5:4222" in said
    assert STRUCK in said
    for secret in ("hunter", "bob", "longpassword", "other", "abcdef"):
        assert secret not in said


def test_the_code_of_an_error_is_found_by_itself(log: logging.Logger) -> None:
    out = written(Form.TEXT)
    with tell(log):
        raise Unreachable("silent", code="LS-1208")
    assert "ERROR LS-1208 broke" in out.getvalue()


def test_a_bug_is_told_in_the_log_with_its_traceback(log: logging.Logger) -> None:
    out = written(Form.JSON)
    error = ValueError(f"about {SECRET}")
    sys.excepthook(ValueError, error, None)
    told = json.loads(out.getvalue())
    assert (told["level"], told["code"]) == ("critical", "LS-9001")
    assert "ValueError: about ***" in told["traceback"]


def test_sentences_about_a_password_stay_readable() -> None:
    for text in (
        "devices.m1.password: is missing; add it",
        "set user and password in the settings",
        "see the page http://127.0.0.1:8080/api",
    ):
        assert Redactor()(text) == text


@given(
    st.text(min_size=4, alphabet=st.characters(exclude_characters="*")),
    st.text(),
    st.text(),
)
def test_a_known_secret_never_comes_through(
    secret: str, before: str, after: str
) -> None:
    said = Redactor([secret])(before.replace(secret, "") + secret + after)
    assert secret not in said.replace(STRUCK, "*")


def test_a_person_gets_text_and_a_program_json(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert chosen(None) is Form.JSON
    assert chosen("text") is Form.TEXT


def test_every_secret_of_a_file_and_the_environment_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key.txt").write_text("from-a-file\n")
    monkeypatch.setenv("BROKER", "from-the-environment")
    monkeypatch.setenv("LINESHAFT_BUS__URL", "nats://u:in%20address@h:1")
    file = tmp_path / "lineshaft.toml"
    file.write_text(
        '[devices.a]\npassword = "env:BROKER"\n[[devices.b.x]]\n'
        'key = "file:key.txt"\nother = "file:none"\ntoken = "literal"\n'
    )
    assert secrets_of(file) == {
        "from-a-file", "from-the-environment", "in%20address", "in address", "literal",
    }  # fmt: skip
    file.write_text("not toml")
    assert secrets_of(file) == {"in%20address", "in address"}
