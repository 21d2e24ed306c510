"""Asking others over HTTP; only this file knows the library."""

import contextlib
import ssl
from collections.abc import Iterator, Mapping

import httpx
from httpx import Client, Response

from lineshaft.core.errors import Refused, Unreachable

__all__ = ["Client", "Response", "fetch", "open_client", "post"]
PATIENCE_S = 60.0
LARGEST_ANSWER = 1 << 20


@contextlib.contextmanager
def open_client(
    url: str, *, token: str = "", roots: str = "", patience_s: float = PATIENCE_S
) -> Iterator[Client]:
    """Open a client of the server at `url`; `roots` is a file of what it trusts.

    `Unreachable`, from inside the block, when it does not answer. No proxy of the
    environment is used: what we ask for is near.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with httpx.Client(
            base_url=url,
            headers=headers,
            timeout=patience_s,
            trust_env=False,
            verify=ssl.create_default_context(cafile=roots) if roots else True,
        ) as client:
            yield client
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        told = str(error) or type(error).__name__
        raise Unreachable(f"{url} does not answer ({told})") from error


def fetch(
    url: str,
    form: Mapping[str, str] | None = None,
    login: tuple[str, str] | None = None,
    *,
    patience_s: float = 10.0,
) -> bytes:
    """Return what is at an address, or what it answers to a form.

    `Unreachable` when nobody answers, `Refused` for an answer that is an error, a
    redirection or longer than 1 MiB.
    """
    method = "GET" if form is None else "POST"
    with (
        open_client(url, patience_s=patience_s) as client,
        client.stream(method, url, data=form, auth=login) as answer,
    ):
        if not answer.is_success:
            raise Refused(f"{url} answers {answer.status_code} {answer.reason_phrase}")
        found = bytearray()
        for part in answer.iter_bytes():
            found += part
            if len(found) > LARGEST_ANSWER:
                raise Refused(f"{url} answers with more than {LARGEST_ANSWER} bytes")
    return bytes(found)


def post(url: str, data: bytes, *, patience_s: float = 10.0) -> tuple[int, bytes]:
    """Return the status and the begin of the answer to bytes that are sent.

    `Unreachable` when nobody answers.
    """
    with open_client(url, patience_s=patience_s) as client:
        answer = client.post(url, content=data)
        return answer.status_code, answer.content[:LARGEST_ANSWER]
