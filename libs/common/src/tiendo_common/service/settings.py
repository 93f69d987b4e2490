"""Settings that every service has, from the environment (prefix `TIENDO_`), or a file each.

`TIENDO_SECRETS_DIR` names a folder in which a setting may be a file of its name, `tiendo_database_url` say: what
is secret then stands in no environment, which whoever may look at a process can read. The environment goes first.
"""

import os
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from tiendo_common.eventlog.kafka.connection import BadBrokerSettings, Broker

_PREFIX = "TIENDO_"
_FOLDER = f"{_PREFIX}SECRETS_DIR"


class BrokerSettings(BaseSettings):
    """What carries events to their readers, and the right to talk to it."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="ignore", frozen=True)

    secrets_dir: Path | None = Field(
        None, description="Folder in which each setting may be a file: tiendo_database_url, for example."
    )
    log: str = Field(
        "postgres",
        description="What carries events to their readers: postgres, or kafka://HOST:PORT[,HOST:PORT].",
        pattern=r"^(postgres|kafka://[^/]+)$",
    )
    kafka_topic_prefix: str = Field("tiendo.", description="What the names of topics and groups begin with.")
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_username: str | None = Field(None, description="For SASL.")
    kafka_password_file: Path | None = Field(None, description="File with the password for SASL.")
    kafka_ca_file: Path | None = Field(None, description="Who signed the brokers' certificates (PEM).")
    kafka_certificate_file: Path | None = Field(
        None, description="Our own certificate, for mutual TLS (PEM)."
    )
    kafka_key_file: Path | None = Field(None, description="The key of that certificate (PEM).")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic hands it over by name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Add the folder that the environment names at this moment: importing must not read it."""
        folder = os.environ.get(_FOLDER)
        if not folder or not Path(folder).is_dir():  # one that is missing is found in `read`
            return init_settings, env_settings
        return init_settings, env_settings, SecretsSettingsSource(settings_cls, secrets_dir=folder)

    @classmethod
    def read(cls, **given: Any) -> Self:
        """The settings that the process was given; `given` ones go first. Raises SystemExit if they
        cannot be used, and says why.

        Files are looked at here, so that one which was not mounted is named at once and with its setting. No
        value is ever shown: it may be a secret.
        """
        folder = os.environ.get(_FOLDER)
        wrong = [f"{_FOLDER}: {folder} is no folder"] if folder and not Path(folder).is_dir() else []
        try:
            settings = cls(**given)
            wrong += settings._unreadable()
            settings.broker()
        except ValidationError as error:
            for each in error.errors():
                # What is wrong with several of them together has no place of its own, and names them itself.
                place = f"{_PREFIX}{str(each['loc'][0]).upper()}: " if each["loc"] else ""
                wrong.append(f"{place}{each['msg']}")
        except BadBrokerSettings as error:
            wrong = wrong or [str(error)]  # a file that is not there is named already
        except OSError as error:
            wrong.append(f"{error.filename}: {error.strerror}")
        if wrong:
            program = cls.__module__.partition(".")[0]
            raise SystemExit("\n  ".join([f"{program} cannot start with the settings it was given:", *wrong]))
        return settings

    def _unreadable(self) -> list[str]:
        """What is wrong with the files and folders that are named."""
        return [
            f"{_PREFIX}{name.upper()}: {path} {'cannot be read' if path.exists() else 'is not there'}"
            for name, path in self
            if isinstance(path, Path) and name != "secrets_dir" and not os.access(path, os.R_OK)
        ]

    def broker(self) -> Broker | None:
        """The broker to use; None where consumers read the log in PostgreSQL. Raises BadBrokerSettings."""
        if self.log == "postgres":
            return None
        return Broker.from_parts(
            self.log.removeprefix("kafka://"),
            prefix=self.kafka_topic_prefix,
            security=self.kafka_security,
            mechanism=self.kafka_sasl_mechanism,
            username=self.kafka_username,
            password_file=self.kafka_password_file,
            ca_file=self.kafka_ca_file,
            certificate_file=self.kafka_certificate_file,
            key_file=self.kafka_key_file,
        )


class ServiceSettings(BrokerSettings):
    """Where to listen, what to connect to, which clock."""

    host: str = Field("127.0.0.1", description="Address to listen on; loopback unless told otherwise.")
    port: int = Field(description="Port to listen on.")
    database_url: str = Field(description="postgresql:// URL of the service's own role.")
    api_keys_file: Path = Field(description="JSON file of hashed API keys with their scopes.")
    clock: Literal["wall", "driven"] = Field("wall", description="driven: POST /v1/clock moves the time.")
    province: str = Field("vn", description="First part of the events' source.")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    grace: int = Field(20, description="Seconds that requests under way have to finish at a stop.")
