"""One example of each event, for its readers and for tests: ids and times are fixed, nobody in them is real.

All tell of one citizen of the Kon Tum campaign of 2023: taken at level 1 in Hà Mòn on 13 November, approved
on the 15th, activated on the 16th, upgraded on the 20th, moved to Đắk La on the 25th. Of each version of an
event the example is written to `contracts/events/` once and stays as it is: it must be readable for ever.
"""

from datetime import UTC, date, datetime, time
from itertools import pairwise
from typing import Any

from msgspec.structs import replace

from tiendo_common.events.declarations import (
    CountsDeclared,
    Declaration,
    DeclarationsClosed,
    DeclarationsDue,
    DeclaredCount,
)
from tiendo_common.events.envelope import Event
from tiendo_common.events.restatements import (
    AccountRestated,
    AccountRestatement,
    ApprovalRestated,
    ApprovalRestatement,
    AttemptFailed,
    Cohort,
    DossierRestated,
    DossierRestatement,
    DossierSegment,
    FailedAttempt,
    IntakeRestated,
    IntakeRestatement,
    Segment,
)
from tiendo_common.events.state import (
    CampaignPublication,
    CampaignPublished,
    IndicatorProgress,
    ProgressPublication,
    ProgressPublished,
    TargetPublication,
    TargetSet,
    UnitPublication,
    UnitPublished,
    UnitSpan,
)

CAMPAIGN = "kon-tum-2023"
RECORD = "5f0c7d5e-3b8a-4c1d-9e42-7a6b1c2d3e4f"
HA_MON, DAK_LA, DAK_HA = "23521", "23524", "23500"

_TAKEN, _APPROVED, _ACTIVATED = date(2023, 11, 13), date(2023, 11, 15), date(2023, 11, 16)
_UPGRADED, _MOVED = date(2023, 11, 20), date(2023, 11, 25)
_COHORTS: tuple[Cohort, ...] = ("ethnic_minorities", "workers")
_ACCEPTED = datetime(2023, 11, 25, 13, 0, 7, 250_000, tzinfo=UTC)
_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def _moved(early: Segment, upgraded: Segment) -> tuple[tuple[Segment, ...], tuple[Segment, ...]]:
    """The segments before the move was known, and after."""
    return (early, upgraded), (
        early,
        replace(upgraded, until_day=_MOVED),
        replace(upgraded, from_day=_MOVED, residence=DAK_LA),
    )


def _dossier_days(first_day: date) -> tuple[tuple[Segment, ...], tuple[Segment, ...]]:
    """Where the dossier counts from `first_day` on: an upgrade credits whoever took the level-2 dossier."""
    early = Segment(
        from_day=first_day,
        until_day=_UPGRADED,
        level=1,
        residence=HA_MON,
        collecting=HA_MON,
        channel="mobile",
        cohorts=_COHORTS,
        team="Tổ 3",
    )
    upgraded = replace(
        early, from_day=_UPGRADED, until_day=None, level=2, collecting=DAK_HA, channel="fixed", team=None
    )
    return _moved(early, upgraded)


def _account_days() -> tuple[tuple[Segment, ...], tuple[Segment, ...]]:
    """Where the account counts: the days of the dossier, the work of those who helped to switch it on."""
    early = Segment(
        from_day=_ACTIVATED,
        until_day=_UPGRADED,
        level=1,
        residence=HA_MON,
        collecting=HA_MON,
        channel="home",
        cohorts=_COHORTS,
        team="Đoàn thanh niên",
    )
    return _moved(early, replace(early, from_day=_UPGRADED, until_day=None, level=2))


def _dossier_segments() -> tuple[DossierSegment, ...]:
    bounds = (_TAKEN, _APPROVED, _UPGRADED, _MOVED, None)
    return tuple(
        DossierSegment(
            from_day=since,
            until_day=until,
            level=1 if since < _UPGRADED else 2,
            residence=HA_MON if since < _MOVED else DAK_LA,
            collecting=HA_MON if since < _UPGRADED else DAK_HA,
            channel="mobile" if since < _UPGRADED else "fixed",
            cohorts=_COHORTS,
            team="Tổ 3" if since < _UPGRADED else None,
            approved=since >= _APPROVED,
        )
        for since, until in pairwise(bounds)
        if since is not None
    )


def _attributes(number: int, service: str, subject: str, key: str, **more: str) -> dict[str, Any]:
    return {
        "id": f"018c0b3e-7a00-7000-8000-{number:012x}",
        "source": f"/vn/{service}",
        "subject": subject,
        "time": _ACCEPTED,
        "partitionkey": key,
        **more,
    }


def examples() -> tuple[Event, ...]:
    """One event of each type, with every optional member that its version was released with."""
    of_citizen = {"campaign": CAMPAIGN, "traceparent": _TRACE}
    change: dict[str, Any] = {
        "record_id": RECORD,
        "version": 4,
        "occurred_at": datetime(2023, 11, 25, 1, 30, tzinfo=UTC),
        "known_day": _MOVED,
    }
    intake_before, intake_after = _dossier_days(_TAKEN)
    approval_before, approval_after = _dossier_days(_APPROVED)
    account_before, account_after = _account_days()
    reason = "moved_house"
    return (
        IntakeRestated(
            **_attributes(1, "intake", DAK_LA, RECORD, **of_citizen),
            data=IntakeRestatement(
                **change, change="moved", before=intake_before, after=intake_after, reason=reason
            ),
        ),
        ApprovalRestated(
            **_attributes(2, "intake", DAK_LA, RECORD, **of_citizen),
            data=ApprovalRestatement(
                **change, change="moved", before=approval_before, after=approval_after, reason=reason
            ),
        ),
        DossierRestated(
            **_attributes(3, "intake", DAK_LA, RECORD, **of_citizen),
            data=DossierRestatement(
                record_id=RECORD,
                version=4,
                known_day=_MOVED,
                key_id=1,
                person_hash=bytes(range(32)),
                segments=_dossier_segments(),
            ),
        ),
        AccountRestated(
            **_attributes(4, "activation", DAK_LA, RECORD, **of_citizen),
            data=AccountRestatement(
                **(change | {"version": 3}), change="dossier", before=account_before, after=account_after
            ),
        ),
        AttemptFailed(
            **_attributes(5, "activation", HA_MON, RECORD, **of_citizen),
            data=FailedAttempt(
                record_id=RECORD,
                reason="old_device",
                occurred_at=datetime(2023, 11, 15, 9, 5, tzinfo=UTC),
                known_day=_MOVED,
                collecting=HA_MON,
                channel="home",
                team="Đoàn thanh niên",
            ),
        ),
        UnitPublished(
            **_attributes(6, "aggregator", DAK_HA, DAK_HA),
            data=UnitPublication(
                code=DAK_HA,
                spans=(
                    UnitSpan(
                        from_day=date(2004, 1, 1),
                        until_day=date(2025, 1, 1),
                        parent="615",
                        level="commune",
                        name="Thị trấn Đắk Hà",
                    ),
                    UnitSpan(
                        from_day=date(2025, 1, 1),
                        until_day=date(2025, 7, 1),
                        parent="615",
                        level="commune",
                        name="Thị trấn Đăk Hà",
                    ),
                    UnitSpan(
                        from_day=date(2025, 7, 1),
                        until_day=None,
                        parent="51",
                        level="commune",
                        name="Xã Đăk Hà",
                    ),
                ),
                loaded=11_377,
            ),
        ),
        CampaignPublished(
            **_attributes(7, "aggregator", "62", CAMPAIGN, campaign=CAMPAIGN),
            data=CampaignPublication(
                campaign=CAMPAIGN,
                name="Kon Tum, 50 days and nights",
                province="62",
                first_day=date(2023, 11, 11),
                last_day=date(2023, 12, 30),
                day_cut_off=time(21, 0),
            ),
        ),
        TargetSet(
            **_attributes(8, "aggregator", HA_MON, CAMPAIGN, campaign=CAMPAIGN),
            data=TargetPublication(
                campaign=CAMPAIGN, unit=HA_MON, unit_name="Xã Hà Mòn", indicator="activated", value=4120
            ),
        ),
        ProgressPublished(
            **_attributes(9, "aggregator", HA_MON, CAMPAIGN, campaign=CAMPAIGN),
            data=ProgressPublication(
                campaign=CAMPAIGN,
                unit=HA_MON,
                day=_MOVED,
                complete_to=datetime(2023, 11, 25, 12, 59, 59, tzinfo=UTC),
                intake=IndicatorProgress(value=4388, baseline=1210, done=96),
                approved=IndicatorProgress(value=3907, baseline=1204, done=81),
                activated=IndicatorProgress(value=3110, baseline=640, done=-2),
            ),
        ),
        CountsDeclared(
            **_attributes(10, "aggregator", DAK_LA, CAMPAIGN, campaign=CAMPAIGN),
            data=Declaration(
                campaign=CAMPAIGN,
                unit=DAK_LA,
                day=_MOVED,
                revision=2,
                source="Báo cáo nhanh hằng ngày",
                declared_by="dak-la",
                declared_at=_ACCEPTED,
                late=False,
                intake=DeclaredCount(value=2950, level_1=700, level_2=2250),
                approved=DeclaredCount(value=2801, level_1=None, level_2=None),
                activated=DeclaredCount(value=2004, level_1=None, level_2=None),
            ),
        ),
        DeclarationsClosed(
            **_attributes(11, "aggregator", "62", CAMPAIGN, campaign=CAMPAIGN),
            data=DeclarationsDue(
                campaign=CAMPAIGN,
                day=_MOVED,
                cut_off=datetime(2023, 11, 25, 9, 30, tzinfo=UTC),
                expected=(DAK_HA, DAK_LA),
                not_reported=(DAK_HA,),
            ),
        ),
    )
