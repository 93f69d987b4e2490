"""What happens to a campaign whose units have no place on the day's tree."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from tiendo_common.errors import Invalid

log = structlog.get_logger(__name__)


class LeaveOut:
    """Leaves such a campaign out, and its days open, until a reorganisation places its units: what is said then is
    late and never wrong. The others go on."""

    def __init__(self, undone: str) -> None:
        """`undone`: what is not done for a campaign meanwhile, as the log says it, once."""
        self._undone = undone
        self._said: dict[str, str] = {}

    @contextmanager
    def if_off_tree(self, campaign: str) -> Iterator[None]:
        """Do the campaign's part in here."""
        try:
            yield
        except Invalid as error:
            if self._said.get(campaign) != error.detail:
                log.warning(self._undone, campaign=campaign, reason=error.detail, remedy=error.remedy)
                self._said[campaign] = error.detail
        else:
            self._said.pop(campaign, None)
