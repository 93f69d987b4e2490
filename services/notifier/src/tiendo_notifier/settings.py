"""Settings of the notifier, from the environment."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from tiendo_common.service.settings import ServiceSettings
from tiendo_notifier.channels.mail import MailServer, Security, check_address
from tiendo_notifier.channels.zalo import ZaloAccount


class NotifierSettings(ServiceSettings):
    """The shared settings, who may be called, through which server letters go, and for whom Zalo messages."""

    webhook_allow: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (),
        description="Networks to which webhooks may go although they are not public: 10.1.2.0/24,fd00::/8.",
    )

    smtp_host: str | None = Field(None, description="The mail server; without it nobody is told by e-mail.")
    smtp_port: int = Field(587, ge=1, le=65535)
    smtp_security: Security = Field(
        "starttls",
        description="starttls, tls (from the first byte, port 465), or none (on this machine, say).",
    )
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    mail_from: str | None = Field(None, description="The address that letters come from.")
    mail_link: str | None = Field(
        None, description="What stands before the paths in letters: https://tiendo.example.vn/notifier, say."
    )

    zalo_app_id: str | None = Field(
        None,
        description="The application that sends for a Zalo Official Account; without it nobody is told there.",
    )
    zalo_secret_key: SecretStr | None = Field(None, description="The application's secret.")
    zalo_refresh_token: SecretStr | None = Field(
        None,
        description="The first one, of the account's authorisation; what follows from it is kept in the database.",
    )
    zalo_template: str | None = Field(None, description="The id of the template that was registered.")
    zalo_messages_url: str = Field(
        "https://business.openapi.zalo.me", description="Zalo's, or a proxy's before it."
    )
    zalo_tokens_url: str = Field("https://oauth.zaloapp.com", description="Zalo's, or a proxy's before it.")

    @property
    def zalo_account(self) -> ZaloAccount | None:
        """In whose name Zalo messages are sent; None: in nobody's."""
        if not (self.zalo_app_id and self.zalo_secret_key and self.zalo_refresh_token and self.zalo_template):
            return None
        return ZaloAccount(
            app=self.zalo_app_id,
            secret_key=self.zalo_secret_key.get_secret_value(),
            refresh_token=self.zalo_refresh_token.get_secret_value(),
            template=self.zalo_template,
            messages_url=self.zalo_messages_url.rstrip("/"),
            tokens_url=self.zalo_tokens_url.rstrip("/"),
        )

    @property
    def mail_server(self) -> MailServer | None:
        """Where letters are handed in; None: nowhere."""
        if self.smtp_host is None or self.mail_from is None:
            return None
        return MailServer(
            host=self.smtp_host,
            port=self.smtp_port,
            security=self.smtp_security,
            user=self.smtp_user,
            password=self.smtp_password.get_secret_value() if self.smtp_password else None,
            sender=self.mail_from,
            link=self.mail_link,
        )

    @model_validator(mode="after")
    def _mail_is_whole(self) -> Self:
        if (self.smtp_host is None) != (self.mail_from is None):
            raise ValueError("TIENDO_SMTP_HOST and TIENDO_MAIL_FROM go together: set both, or neither")
        if (self.smtp_user is None) != (self.smtp_password is None):
            raise ValueError("TIENDO_SMTP_USER and TIENDO_SMTP_PASSWORD go together: set both, or neither")
        if self.mail_from is not None:
            check_address(self.mail_from)
        return self

    @model_validator(mode="after")
    def _zalo_is_whole(self) -> Self:
        parts = (self.zalo_app_id, self.zalo_secret_key, self.zalo_refresh_token, self.zalo_template)
        if len({part is None for part in parts}) > 1:
            raise ValueError(
                "TIENDO_ZALO_APP_ID, TIENDO_ZALO_SECRET_KEY, TIENDO_ZALO_REFRESH_TOKEN and TIENDO_ZALO_TEMPLATE go "
                "together: set all four, or none"
            )
        return self

    @field_validator("webhook_allow", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())
        return value
