"""Why the embedded server cannot be had."""

from tiendo_common.errors import TiendoError


class LauncherError(TiendoError):
    """The embedded server cannot be had; `remedy` says what to do about it."""

    def __init__(self, detail: str, *, remedy: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy


class NoBinaries(LauncherError):
    """The wheel is not installed or its binaries do not run here."""


class NoAccount(LauncherError):
    """Root must hand the server to another account and cannot."""


class NoPlace(LauncherError):
    """The account that runs the server cannot use the folder of its data."""


class StartFailed(LauncherError):
    """The server did not come up; the message ends with the last lines of its log."""
