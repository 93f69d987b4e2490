"""The aggregator's settings, from the environment."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from tiendo_common.service.settings import ServiceSettings


class Settings(ServiceSettings):
    """What every service has, where the facts are, and what is counted of them."""

    data_facts: Path = Field(description="Folder with units/*.csv.")
    counts: Literal["all", "totals"] = Field(
        "all",
        description="all: totals, what they are broken down into, how long citizens wait, work by team and faults. "
        "totals: these alone, in half the time. Settled by an instance's first start.",
    )
