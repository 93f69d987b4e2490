"""A task that was told to stop, stops."""

import asyncio


def check_cancelled() -> None:
    """Raise CancelledError if the task was told to stop and does not know it.

    A library may answer a cancellation with an error of its own, or with the result that came at the same moment
    (asyncio.wait_for, Python 3.11): whoever loops over such calls for ever looks here each time.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
