"""The HTTP interface, a module a subject; here, what lists share."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query

from tiendo_notifier.http_schemas import Text

MAX_PAGE = 500

Campaign = Annotated[Text | None, Query(description="The campaign's id.", examples=["kon-tum-2023"])]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description=f"Entries on a page, {MAX_PAGE} at most.")]


def next_cursor(rows: Sequence[Any], limit: int) -> str | None:
    """A full page may be followed by another; one that is not full is the last."""
    return str(rows[-1].id) if len(rows) == limit else None
