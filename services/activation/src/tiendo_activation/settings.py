"""Activation's settings."""

from pathlib import Path

from pydantic import Field

from tiendo_common.service.settings import ServiceSettings


class Settings(ServiceSettings):
    """What activation needs beside what every service does."""

    person_keys_file: Path = Field(description="JSON file of the secret keys that hash personal numbers.")
