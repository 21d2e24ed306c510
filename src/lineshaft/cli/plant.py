"""The running plant, asked over its HTTP API."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from lineshaft.core.errors import (
    ConfigError,
    LineshaftError,
    NotFound,
    Refused,
    Unreachable,
)

Json = Any  # what the API says has the shapes of its OpenAPI description
_ERRORS: Mapping[int, type[LineshaftError]] = {
    400: ConfigError,
    404: NotFound,
    409: Refused,
    422: ConfigError,
}
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Running:
    """Where a plant runs."""

    url: str
    bus: str
    pid: int
    demo: bool
    plant: str


def find(data: Path) -> Running:
    """Return the plant that runs with the data directory; `Unreachable` if none."""
    nothing = Unreachable(
        f"no plant runs with the data directory {data}; start one with `lineshaft up` "
        "or `lineshaft demo`, or name its directory with --data"
    )
    try:
        running = Running(**json.loads((data / "running.json").read_text("utf-8")))
        os.kill(running.pid, 0)
    except (OSError, ValueError, TypeError) as error:
        raise nothing from error
    return running


class Plant:
    """Asks questions; an answer that is an error is raised as ours."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self._client = httpx.Client(
            base_url=f"{running.url}/api/v1",
            timeout=PATIENCE_S,
            trust_env=False,  # it is on this machine, whatever the proxy
        )

    def get(self, path: str, **parameters: str | int | Sequence[str]) -> Json:
        """Return the answer of a GET."""
        with self._translated():
            return self._checked(self._client.get(path, params=parameters)).json()

    def post(self, path: str, body: Mapping[str, object]) -> tuple[int, Json]:
        """Return the status and the answer of a POST."""
        with self._translated():
            answer = self._client.post(path, json=body)
        if "verdict" in answer.text:
            return answer.status_code, answer.json()
        return answer.status_code, self._checked(answer).json()

    def download(self, path: str, **parameters: str) -> Iterator[bytes]:
        """Yield a file in parts."""
        with (
            self._translated(),
            self._client.stream("GET", path, params=parameters) as answer,
        ):
            if answer.is_error:
                answer.read()
                self._checked(answer)
            yield from answer.iter_bytes()

    def _translated(self) -> "_Translated":
        return _Translated(self.running.url)

    def _checked(self, answer: httpx.Response) -> httpx.Response:
        if not answer.is_error:
            return answer
        try:
            detail = answer.json()["detail"]
        except (ValueError, KeyError, TypeError):
            detail = answer.text[:200]
        raise _ERRORS.get(answer.status_code, Unreachable)(detail)


class _Translated:
    """Turns the library's errors into ours."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type | None, error: BaseException | None, _: object
    ) -> None:
        if isinstance(error, httpx.HTTPError):
            said = str(error) or type(error).__name__
            raise Unreachable(
                f"the plant at {self._url} does not answer ({said}); "
                "`lineshaft doctor` helps to find out why"
            ) from error
