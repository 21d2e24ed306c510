"""Tasks that run beside a block of code."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterator


@contextlib.contextmanager
def bare() -> Iterator[None]:
    """Let the first error of a `TaskGroup` out as itself, the others as its cause.

    Callers can then write `except Unreachable` without knowing about tasks.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from group


@contextlib.contextmanager
def cancellable() -> Iterator[None]:
    """Raise a cancellation of this task that the block has swallowed.

    For calls of libraries that wait with `asyncio.wait_for`: before Python 3.12 it
    returns the result, and loses the cancellation, when both come in the same turn of
    the loop (python/cpython#86296). Who calls it in a loop would never end.
    """
    before = _cancellations()
    try:
        yield
    finally:
        if _cancellations() > before:
            raise asyncio.CancelledError


def _cancellations() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task else 0


@contextlib.asynccontextmanager
async def beside(*works: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run `works` while the block is open; an error of one ends the block."""
    with bare():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
