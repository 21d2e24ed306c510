import asyncio

import pytest

from lineshaft.core.process.tasks import cancellable


async def deaf(error: Exception | None = None) -> None:
    """End as a call of a library does that lost its cancellation on the way."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        if error is not None:
            raise error from None


async def cancelled(task: asyncio.Task[None]) -> bool:
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


@pytest.mark.parametrize("error", [None, TimeoutError()])
async def test_a_cancellation_that_a_library_swallowed_is_raised_behind_it(
    error: Exception | None,
) -> None:
    async def work() -> None:
        with cancellable():
            await deaf(error)
        raise AssertionError("it went on")

    assert not await cancelled(asyncio.ensure_future(deaf()))
    assert await cancelled(asyncio.ensure_future(work()))


async def test_a_time_limit_inside_is_no_cancellation() -> None:
    with pytest.raises(TimeoutError), cancellable():
        async with asyncio.timeout(0):
            await asyncio.Event().wait()


async def test_what_cleans_up_after_a_cancellation_may_still_call() -> None:
    done = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            with cancellable():
                await asyncio.sleep(0)
            done.append("farewell")

    assert await cancelled(asyncio.ensure_future(work()))
    assert done == ["farewell"]


async def test_errors_come_out_as_they_are() -> None:
    with pytest.raises(ValueError, match="wrong"), cancellable():
        raise ValueError("wrong")
