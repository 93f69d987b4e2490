"""Settings of the notifier, from the environment."""

from pydantic import Field

from tiendo_common.service.settings import ServiceSettings


class NotifierSettings(ServiceSettings):
    """The shared settings and who may be called."""

    webhook_allow_private: bool = Field(
        False, description="Whether webhooks may go to loopback and private addresses."
    )
