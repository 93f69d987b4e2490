"""What a day is judged with goes when the day is stored."""

import gc
import weakref
from datetime import UTC, datetime

from tiendo_notifier.use_cases.policies import InForce
from tiendo_notifier.use_cases.reference import Reference
from tiendo_notifier.use_cases.session import Session


def test_a_session_holds_nothing_that_holds_it() -> None:
    """A service collects cycles seldom: a day's session would stay for dozens of days."""
    reference = Reference()
    collects = gc.isenabled()
    gc.disable()
    try:
        session = Session(reference, datetime(2023, 11, 11, tzinfo=UTC), InForce(reference, []), {}, {}, [])
        held = weakref.ref(session)
        del session
        assert held() is None
    finally:
        if collects:
            gc.enable()
