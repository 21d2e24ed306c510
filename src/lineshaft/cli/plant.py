"""The running plant, asked over its HTTP API."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineshaft.core.errors import (
    ConfigError,
    Denied,
    LineshaftError,
    NotFound,
    Refused,
    Unreachable,
)

if TYPE_CHECKING:
    from lineshaft.core.process.http import Client, Response

Json = Any  # what the API says has the shapes of its OpenAPI description
_ERRORS: Mapping[int, type[LineshaftError]] = {
    400: ConfigError,
    401: Denied,
    403: Denied,
    404: NotFound,
    409: Refused,
    422: ConfigError,
}
TOKEN = "LINESHAFT_TOKEN"  # noqa: S105  the name of a variable
"""Environment variable with a token, where a login is asked of this machine too."""


@dataclass(frozen=True, slots=True)
class Running:
    """Where a plant runs."""

    url: str
    bus: str
    pid: int
    demo: bool
    plant: str
    roots: str = ""
    """A file with the roots that its page's certificate is to be checked by."""


def find(data: Path) -> Running:
    """Return the plant that runs with the data directory; `Unreachable` if none."""
    nothing = Unreachable(
        f"no plant runs with the data directory {data}; start one with `lineshaft up` "
        "or `lineshaft demo`, or name its directory with --data"
    )
    try:
        running = Running(**json.loads((data / "running.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise nothing from error
    try:
        os.kill(running.pid, 0)
    except PermissionError:
        pass  # it runs, as another user
    except (OSError, OverflowError, TypeError) as error:
        raise Unreachable(
            f"the plant of {data} is gone without a word (process {running.pid} does "
            "not run any more); start it again with `lineshaft up` or `lineshaft demo`"
        ) from error
    return running


class Plant:
    """Asks questions; an answer that is an error is raised as ours."""

    def __init__(self, running: Running) -> None:
        self.running = running

    def get(self, path: str, **parameters: str | int | Sequence[str]) -> Json:
        """Return the answer of a GET."""
        with self._asking() as client:
            return self._checked(client.get(path, params=parameters)).json()

    def post(self, path: str, body: Mapping[str, object]) -> tuple[int, Json]:
        """Return the status and the answer of a POST."""
        with self._asking() as client:
            answer = client.post(path, json=body)
        if "verdict" in answer.text:
            return answer.status_code, answer.json()
        return answer.status_code, self._checked(answer).json()

    def download(
        self, path: str, label: Callable[[str], None], **parameters: str
    ) -> Iterator[bytes]:
        """Yield a file in parts; `label` is told first what its data are worth."""
        with (
            self._asking() as client,
            client.stream("GET", path, params=parameters) as answer,
        ):
            if answer.is_error:
                answer.read()
                self._checked(answer)
            label(answer.headers.get("Lineshaft-Data-Label", ""))
            yield from answer.iter_bytes()

    @contextlib.contextmanager
    def _asking(self) -> Iterator["Client"]:
        """Open a client whose errors are ours."""
        # Slow to import, and without a plant there is nobody to ask.
        from lineshaft.core.process.http import open_client

        url = f"{self.running.url}/api/v1"
        try:
            token, roots = os.environ.get(TOKEN, ""), self.running.roots
            with open_client(url, token=token, roots=roots) as client:
                yield client
        except Unreachable as error:
            raise Unreachable(
                f"the plant: {error}; `lineshaft doctor` helps to find out why",
                code=error.stable_code,
            ) from error

    def _checked(self, answer: "Response") -> "Response":
        if not answer.is_error:
            return answer
        code = ""
        try:
            problem = answer.json()
            detail, code = problem["detail"], problem.get("code", "")
        except (ValueError, KeyError, TypeError):
            detail = answer.text[:200]
        raise _ERRORS.get(answer.status_code, Unreachable)(detail, code=code)
