"""E-mail: a notice as a letter, under a Message-ID that is the same at every try."""

import asyncio
import hashlib
import re
import ssl
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Literal
from urllib.parse import unquote

import aiosmtplib
import msgspec

from tiendo_common.errors import Invalid
from tiendo_notifier.rules.letters import Language, letter
from tiendo_notifier.rules.tries import Answer

SCHEME = "mailto:"
Security = Literal["starttls", "tls", "none"]
#: Some programs don't know an id again that was folded onto a second line; some servers still carry seven bits only.
_POLICY = SMTP.clone(max_line_length=400, cte_type="7bit")
#: What a mail server takes without asking further: no comments, no quotes, no routes, nothing that could end a header.
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")


class MailServer(msgspec.Struct, frozen=True, kw_only=True):
    """Where letters are handed in, and in whose name. `link` comes before the paths that notices name."""

    host: str
    port: int
    security: Security
    user: str | None
    password: str | None
    sender: str
    link: str | None


class Mail:
    """Hands letters to the operator's mail server; a connection each, since they are few."""

    #: For all of a try. Servers keep those whom they don't know waiting, but a slow one must not hold a lane for long.
    TIMEOUT = 20.0

    def __init__(self, server: MailServer | None) -> None:
        """`server` None: none is configured, and no destination can be an address."""
        self._server = server

    def check(self, url: str) -> None:
        """Raise Invalid unless letters can be sent to this mailto: URL."""
        _address(url)
        if self._server is None:
            raise Invalid(
                "The notifier has no mail server to hand letters to.",
                field="url",
                remedy="Set TIENDO_SMTP_HOST and TIENDO_MAIL_FROM on the notifier, or send an https URL.",
            )

    async def send(self, url: str, language: Language | None, message_id: str, notice: str) -> Answer:
        """One try. Never raises for what the server or the network does. `status` is SMTP's; a server that refuses the
        recipient or the letter itself refuses for good."""
        server = self._server
        if server is None:
            return Answer(error="no mail server is configured any more")
        to = _address(url)
        written = compose_letter(server, to, language, message_id, notice)
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            tls_context=ssl.create_default_context() if server.security != "none" else None,
            timeout=self.TIMEOUT,
        )
        try:
            # The library gives each step its own time; the claim on the delivery bounds them all.
            async with asyncio.timeout(self.TIMEOUT):
                await client.connect()
                await client.sendmail(server.sender, [to], written.as_bytes())
        except aiosmtplib.SMTPRecipientsRefused as refused:
            [each] = refused.recipients
            return _refused(each.code, each.message, lasting=each.code >= 500)
        except aiosmtplib.SMTPDataError as error:
            return _refused(error.code, error.message, lasting=error.code >= 500)
        except aiosmtplib.SMTPResponseException as error:
            # Who we are, or that we may send at all, is in question: whoever runs the server can put that right.
            return _refused(error.code, error.message, lasting=False)
        except TimeoutError:
            return Answer(error=f"not taken within {self.TIMEOUT:g} s")
        except (aiosmtplib.SMTPException, OSError) as error:
            return Answer(error=f"{type(error).__name__}: {error}".rstrip(": "))
        finally:
            # Without a goodbye: a slow server would take its time for that, too.
            client.close()
        return Answer(status=250)


def compose_letter(
    server: MailServer, to: str, language: Language | None, message_id: str, notice: str
) -> EmailMessage:
    """The letter, the same bytes for the same notice but for the boundary between its parts."""
    said = letter(notice, language, server.link)
    domain = server.sender.rpartition("@")[2]
    written = EmailMessage(policy=_POLICY)
    written["From"] = Address("Tiendo", addr_spec=server.sender)
    written["To"] = Address(addr_spec=to)
    written["Subject"] = said.subject
    written["Date"] = format_datetime(datetime.fromisoformat(msgspec.json.decode(notice)["timestamp"]))
    # One notice goes to many: each of them gets a letter of its own.
    recipient = hashlib.sha256(to.encode()).hexdigest()[:12]
    written["Message-ID"] = f"<{message_id}.{recipient}@{domain}>"
    if said.thread is not None:
        # Nobody ever sent this one: mail programs put together what refers to the same.
        written["References"] = written["In-Reply-To"] = f"<incident.{said.thread}@{domain}>"
    written["Auto-Submitted"] = "auto-generated"
    written.set_content(said.text)
    written.add_alternative(said.html, subtype="html")
    return written


def _refused(code: int, message: str, *, lasting: bool) -> Answer:
    return Answer(status=code, error=f"{code} {' '.join(message.split())}"[:500], lasting=lasting)


def check_address(address: str) -> None:
    """Raise ValueError unless it is one plain address."""
    if not _ADDRESS.fullmatch(address):
        raise ValueError(f"{address!r} is not one e-mail address: write name@host")


def _address(url: str) -> str:
    address = unquote(url.removeprefix(SCHEME))
    if not _ADDRESS.fullmatch(address):
        raise Invalid(
            "What follows mailto: is not one e-mail address.",
            field="url",
            remedy="Send mailto:name@host, without names, headers or further recipients.",
        )
    return address
