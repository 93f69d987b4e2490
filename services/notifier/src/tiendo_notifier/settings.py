"""Settings of the notifier, from the environment."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from tiendo_common.service.settings import ServiceSettings


class NotifierSettings(ServiceSettings):
    """The shared settings and who may be called."""

    webhook_allow: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (),
        description="Networks to which webhooks may go although they are not public: 10.1.2.0/24,fd00::/8.",
    )

    @field_validator("webhook_allow", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())
        return value
