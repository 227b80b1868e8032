"""Making an object at a host exactly once, though a POST may fail after it was committed."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ftspec.providers.connect import Connection
from ftspec.providers.failures import CallFailed
from ftspec.wire.errors import ErrorClass

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Created(Generic[Thing]):
    """The object, whether it was found rather than made now, and how many POSTs this call sent."""

    thing: Thing
    adopted: bool
    posts: int


async def create_once(
    connection: Connection,
    find: Callable[[], Awaitable[Thing | None]],
    post: Callable[[], Awaitable[Thing]],
    *,
    doubt: bool,
) -> Created[Thing]:
    """Find the object or make it. `doubt`: an earlier POST, of this process or a killed one, may have made it.

    After an ambiguous failure it is looked for several times before another POST. Raises CallFailed: at once for
    everything but the transient class, and when the tries are used up.
    """
    for tried in range(connection.pace.tries):
        if doubt and (hit := await _look(connection, find)) is not None:
            return Created(hit, True, tried)
        try:
            return Created(await post(), False, tried + 1)
        except CallFailed as error:
            if error.error_class is not ErrorClass.TRANSIENT:
                raise
            doubt, last = doubt or error.failure.ambiguous, error
            if tried + 1 < connection.pace.tries:
                await connection.back_off(tried, error)
    if doubt and (hit := await _look(connection, find)) is not None:
        return Created(hit, True, connection.pace.tries)
    raise last


async def _look(connection: Connection, find: Callable[[], Awaitable[Thing | None]]) -> Thing | None:
    """Look now and after each wait: a listing may lag behind what was committed."""
    for wait in (0.0, *connection.pace.looks):
        await asyncio.sleep(wait * random.uniform(1.0, 1.1))
        if (hit := await find()) is not None:
            return hit
    return None
