"""The list of what is to be urged on (đôn đốc), as a document."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import PlainTextResponse

from tiendo_common.service.auth import ApiKey, requires
from tiendo_notifier.http_schemas import Text
from tiendo_notifier.rules.reminders import Language
from tiendo_notifier.use_cases.reminders import Reminders

Reader = Annotated[ApiKey, Depends(requires("incident:read"))]


class Markdown(PlainTextResponse):
    """A document that people read as it is, or print."""

    media_type = "text/markdown"


def make_reminder_router(reminders: Reminders) -> APIRouter:
    """The route of the list."""
    router = APIRouter(prefix="/v1/reminders", tags=["incidents"])

    @router.get("", summary="The list of what is to be urged on, to issue", response_class=Markdown)
    async def listed(
        _reader: Reader,
        campaign: Annotated[Text, Query(description="The campaign's id.", examples=["kon-tum-2023"])],
        unit: Annotated[Text | None, Query(description="It and all below it. Absent: the province.")] = None,
        language: Annotated[Language, Query(description="Of the document.")] = "vi",
    ) -> Markdown:
        """Open incidents by the unit above them, the worst first, with what each day needs and who has taken it on."""
        return Markdown(await reminders.write(campaign, unit, language))

    return router
