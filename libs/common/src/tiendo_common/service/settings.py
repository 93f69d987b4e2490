"""Settings that every service has, from the environment (prefix `TIENDO_`)."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Where to listen, what to connect to, which clock."""

    model_config = SettingsConfigDict(env_prefix="TIENDO_", extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on; loopback unless told otherwise.")
    port: int = Field(description="Port to listen on.")
    database_url: str = Field(description="postgresql:// URL of the service's own role.")
    api_keys_file: Path = Field(description="JSON file of hashed API keys with their scopes.")
    clock: Literal["wall", "driven"] = Field("wall", description="driven: POST /v1/clock moves the time.")
    province: str = Field("vn", description="First part of the events' source.")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    grace: int = Field(20, description="Seconds that requests under way have to finish at a stop.")
