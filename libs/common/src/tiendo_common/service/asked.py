"""What a request may say: nothing twice, and nothing that nobody here knows. It would be passed over in silence, and
whoever asked would take the answer for another one."""

import difflib
import json
import re
from typing import Any, get_origin

import msgspec
from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute

from tiendo_common.errors import Invalid

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
#: White space before a colon, as nobody's program writes it.
_apart = re.compile(rb'"[ \t\r\n]+:').search


class _Twice(Exception):
    """A member stands twice in one object."""


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        names = [name for name, _ in members]
        raise _Twice(next(name for name in names if names.count(name) > 1))
    return found


def member_twice(raw: bytes | str) -> str | None:
    """The name of a member that stands twice in one object of this JSON text, if there is one."""
    try:
        json.loads(raw, object_pairs_hook=_each_once)
    except _Twice as twice:
        return str(twice)
    return None


def flat_member_twice(raw: bytes, least: int) -> str | None:
    """The same of an object that was decoded, holds no other and has `least` different members or more: most are
    cleared by a look at how many colons follow a quote, which takes a fraction of the decoding."""
    colons = raw.count(b'":')
    if (colons == least or colons == len(_members.decode(raw))) and _apart(raw) is None:
        return None
    return member_twice(raw)


def twice(name: str) -> Invalid:
    """The problem of a member of this name."""
    return Invalid(
        f"{name!r} stands twice in one object: the first would be passed over.",
        field=name,
        remedy="Send it once.",
    )


class Asked:
    """What every route depends on: that its query and its document say nothing twice, and the query nothing unknown.

    Routes that read their body themselves look after it themselves; what probes and scrapers add to theirs is let be.
    """

    def __init__(self) -> None:
        #: Of each route, by its identity: the parameters of its query, and whether they may stand there again.
        self._known: dict[int, dict[str, bool]] = {}

    async def __call__(self, request: Request) -> None:
        """Raises Invalid, naming the parameter or member."""
        route = request.scope["route"]
        if request.scope["query_string"] and request.url.path.startswith("/v1/"):
            self._check_query(request, route)
        if route.body_field is not None and (name := _twice_in(await request.body())) is not None:
            raise twice(name)

    def _check_query(self, request: Request, route: APIRoute) -> None:
        known = self._known.get(id(route))
        if known is None:
            known = self._known[id(route)] = {
                each.alias: get_origin(each.field_info.annotation) is list
                for each in get_flat_params(route.dependant)
                if isinstance(each.field_info, Query)
            }
        asked = [name for name, _ in request.query_params.multi_items()]
        for name in asked:
            if name not in known:
                near = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1)
                raise Invalid(
                    f"There is no {name!r} to ask by here.",
                    field=name,
                    remedy=f"Did you mean {near[0]!r}?"
                    if near
                    else f"Leave it out. There are {', '.join(known)}."
                    if known
                    else "Leave it out.",
                )
            if asked.count(name) > 1 and not known[name]:
                raise Invalid(f"{name!r} is asked for twice.", field=name, remedy="Send it once.")


def _twice_in(body: bytes) -> str | None:
    try:
        return member_twice(body)
    except ValueError:
        return None  # no JSON: what is wrong with it is said where it is decoded
