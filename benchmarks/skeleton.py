"""The service skeleton without a database behind it: auth, metrics, parsing, an answer.

`python -m benchmarks.skeleton PORT KEYS_FILE`
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import uvicorn
from fastapi import APIRouter, FastAPI

from tiendo_common.clock import new_record_id
from tiendo_common.service import problems
from tiendo_common.service.auth import ApiKeys
from tiendo_common.service.line_routes import add_line_routes
from tiendo_common.service.lines import Answer
from tiendo_common.service.observing import ObserveRequests
from tiendo_intake.http_schemas import IntakeLine, intake_submission
from tiendo_intake.use_cases import Submission


async def accept(submissions: Sequence[Submission]) -> list[Answer]:
    """What intake would answer if nothing had to be kept."""
    return [
        Answer(line_id=submission.line_id, status="accepted", record_id=new_record_id())
        for submission in submissions
    ]


def main() -> None:
    app = FastAPI()
    app.state.kit = SimpleNamespace(keys=ApiKeys(Path(sys.argv[2])))
    problems.install(app)
    app.add_middleware(ObserveRequests)
    router = APIRouter()
    add_line_routes(
        router,
        "intakes",
        IntakeLine,
        scope="intake:write",
        understand=intake_submission,
        submit=accept,
        summary="The skeleton",
    )
    app.include_router(router)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)


main()
