"""What commands do alike: read days, ask the services of the instance that runs on a data folder, print tables."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import httpx2
from rich.console import Console

from tiendo.errors import NotAccepted, Refused
from tiendo.folders import DataFolder
from tiendo.instance import Instance, attach


def day_of(text: str | None) -> date | None:
    """The day that somebody wrote on the command line. Raises Refused if it is none."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused(f"{text!r} is not a day.", remedy="Write it like 2023-12-07.") from None


def wide_console() -> Console:
    """Where tables are printed: wide enough for their lines where nobody's terminal says how wide it is."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160
    return console


class Ask:
    """A question to a service in the name of the admin, and its answer."""

    def __init__(self, instance: Instance, client: httpx2.Client) -> None:
        self._instance = instance
        self._client = client

    def __call__(self, method: str, service: str, path: str, **more: Any) -> dict[str, Any]:
        """What is answered. Raises NotAccepted, with the problem's own words, for anything but 200; Refused if nobody
        answers."""
        url = self._instance.url(service) + path
        try:
            answer = self._client.request(method, url, **more)
        except httpx2.TransportError as error:
            raise Refused(
                f"{url}: {str(error) or type(error).__name__}",
                remedy="See `tiendo doctor`; then run it again: what is done stays so.",
            ) from error
        try:
            said: dict[str, Any] = answer.json()
        except ValueError:
            said = {}
        if answer.status_code != 200:
            raise NotAccepted(
                said.get("detail") or answer.text or f"{service} answered {answer.status_code}.",
                remedy=said.get("remedy") or "See the service's log.",
                field=said.get("field"),
            )
        return said


@contextmanager
def desk(data: Path, patience: float) -> Iterator[Ask]:
    """Whom to ask; one answer may take `patience` seconds. Raises Refused if nothing runs on the folder."""
    instance = attach(data)
    if instance is None and (holder := DataFolder(data).holder()) is not None:
        raise Refused(
            f"Tiendo starts or stops on {data}, with pid {holder}.",
            remedy="Run it again when it says that it is ready.",
        )
    if instance is None:
        raise Refused(f"Tiendo does not run on {data}.", remedy=f"Start it: tiendo up --data {data}")
    timeout = httpx2.Timeout(patience, connect=5)
    with httpx2.Client(timeout=timeout, trust_env=False, headers=instance.headers) as client:
        yield Ask(instance, client)
