"""What the command line refuses, and what to do about it."""

from tiendo_common.errors import TiendoError


class Refused(TiendoError):
    """The command cannot be carried out. Printed as two lines, without a traceback; exit status 1."""

    def __init__(self, detail: str, *, remedy: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy


class NotAccepted(Refused):
    """A service refused what it was asked; `field` names what of it, if it said so."""

    def __init__(self, detail: str, *, remedy: str, field: str | None) -> None:
        super().__init__(detail, remedy=remedy)
        self.field = field


class NotCounted(Refused):
    """The instance counts totals alone, and more was asked of it."""


class NotThere(Refused):
    """A service knows nothing of what it was asked about."""


class AlreadyRunning(Refused):
    """Another `tiendo up` holds the data folder."""


class OtherClock(Refused):
    """The data folder was made with the other clock mode."""


class PortTaken(Refused):
    """Somebody else listens on a port that a service needs."""


class ServiceFailed(Refused):
    """A service did not become ready; the message ends with the last lines of its log."""


class DatabaseFailed(Refused):
    """The PostgreSQL server that was named cannot be used."""
