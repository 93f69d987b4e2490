"""The aggregator's settings, from the environment."""

from pathlib import Path

from pydantic import Field

from tiendo_common.service.settings import ServiceSettings


class Settings(ServiceSettings):
    """What every service has, and where the facts are."""

    data_facts: Path = Field(description="Folder with units/*.csv.")
