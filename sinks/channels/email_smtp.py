"""E-mail over SMTP: one recipient an envelope, plain text with a simple HTML alternative, 7-bit to the wire.

A mail has no idempotency, only a `Message-ID` that is the same for every attempt that must not count twice: many
receivers show such a mail once. Bounces name our attempt by the address that they go to (`return_path`), and by the
envelope's id where the server can tell it on.
Source: RFC 5321 and 5322, RFC 3461 (reports), RFC 2047 (Chinese subjects), RFC 2369 and 8058 (List-Unsubscribe),
RFC 3834, RFC 6531.
"""

import re
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import format_datetime
from html import escape
from typing import Annotated, ClassVar, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from infra.receipts.echo import Echo, echo_of
from infra.receipts.return_path import NAME_CHARS, return_path
from schemas.errors import Permanent, Reason
from schemas.records import Content, Delivery
from schemas.statuses import Lane, Status
from sinks.channel import (
    SMTP_COMMAND,
    Accepted,
    Answer,
    Capability,
    Channel,
    Mail,
    ProviderSettings,
    Stamp,
    UnknownOutcome,
)
from sinks.codebook import Codebook

BOUNCE_KEY_CHARS: Final = 16
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_LOCAL: Final = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*")
_DOMAIN: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
_ENHANCED: Final = re.compile(r"\s*([245]\.[0-9]{1,3}\.[0-9]{1,3})\b")
_GREYLISTED: Final = re.compile(r"gr[ea]y-?list", re.IGNORECASE)
_WAIT: Final = re.compile(r"\bin ([0-9]{1,5}) ?(s|min)", re.IGNORECASE)
_QUEUED: Final = re.compile(r"(?:queued as|id[= ])\s*([A-Za-z0-9._-]{1,100})")


def mail_address(text: str) -> str:
    """An address as it goes into an envelope: domain in lower case and ASCII (IDNA); raises ValueError for no address.

    Quoted local parts and domain literals are legal (RFC 5321), and nobody has one: they are refused.
    """
    local, _, domain = text.strip().rpartition("@")
    domain = domain.lower() if domain.isascii() else domain.encode("idna").decode()
    if not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(domain) or len(local.encode()) > 64 or len(domain) > 253:
        raise ValueError("not an e-mail address")
    return f"{local}@{domain}"


def _bounce_address(text: str) -> str:
    """An address with room for a token in its name; empty for none."""
    if not text:
        return text
    address = mail_address(text)
    name = address.rpartition("@")[0]
    if not address.isascii() or "+" in name or len(name) > NAME_CHARS:
        raise ValueError(f"the name before the @ has at most {NAME_CHARS} letters, none of them a plus sign")
    return address


def _long_enough(keys: SecretStr) -> SecretStr:
    if any(len(key) < BOUNCE_KEY_CHARS for key in keys.get_secret_value().split()):
        raise ValueError(f"a key has {BOUNCE_KEY_CHARS} characters or more")
    return SecretStr(" ".join(keys.get_secret_value().split()))


class SmtpSettings(ProviderSettings):
    """One account at a mail server, and as whom it sends."""

    base_url: Annotated[str, StringConstraints(pattern=r"^smtps?://[^\s/?#@]+$")]
    """`smtp://host:587`, or `smtps://host:465` for TLS from the first byte."""
    tls: Literal["starttls", "none"] = "starttls"
    """What follows the hello over `smtp://`; `none` only inside the hospital."""
    sender: Annotated[str, AfterValidator(mail_address)]
    sender_name: Annotated[str, StringConstraints(max_length=64, pattern=r"^[^\r\n]*$")] = ""
    username: Annotated[str, Field(max_length=255)] = ""
    password: SecretStr = SecretStr("")
    unsubscribe: Annotated[str, StringConstraints(pattern=r"^(https://[^\s<>]+|mailto:[^\s<>]+)?$")] = ""
    """Where bulk mail may be refused; told with mail of the bulk lane only: nobody opts out of his own report."""
    return_path: Annotated[str, AfterValidator(_bounce_address)] = ""
    """`bounce@domain`: bounces go to `bounce+<token>@domain` then; empty: to the sender, and nobody reads them."""
    bounce_key: Annotated[SecretStr, AfterValidator(_long_enough)] = SecretStr("")
    """What the tokens are proved by; several with blanks between while it is changed, the newest first."""
    delivery_reports: Literal["on", "off"] = "off"
    """Ask for a report of delivery too: servers that write them (many do not) prove `delivered`."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if bool(self.username) != bool(self.password.get_secret_value()):
            raise ValueError("username and password belong together")
        if bool(self.return_path) != bool(self.bounce_key.get_secret_value()):
            raise ValueError("return_path and bounce_key belong together")
        if self.delivery_reports == "on" and not self.return_path:
            raise ValueError("delivery_reports need a return_path to come to")
        url = urlsplit(self.base_url)
        if self.username and url.scheme == "smtp" and self.tls == "none" and url.hostname not in LOOPBACK:
            raise ValueError("a password is not told without TLS: use smtps:// or tls: starttls")
        return self

    @property
    def levels(self) -> tuple[Status, ...]:
        """Acceptance always, delivery where servers are asked to report it."""
        return (Status.ACCEPTED, Status.DELIVERED) if self.delivery_reports == "on" else (Status.ACCEPTED,)


class EmailSmtp(Channel[SmtpSettings]):
    """One account at one mail server."""

    settings_type: ClassVar = SmtpSettings
    capability: ClassVar = Capability(
        kinds=frozenset({"text", "rich"}),
        levels=(Status.ACCEPTED, Status.DELIVERED),
        idempotency_window_s=None,
        rate_per_s=50,
        max_in_flight=20,
        costs_money=False,
    )

    def build_request(self, delivery: Delivery, content: Content, stamp: Stamp) -> Mail:
        """The mail to the byte; nothing in it differs between attempts."""
        del stamp
        try:
            recipient = mail_address(content.address)
        except ValueError:
            raise Permanent(Reason.RECIPIENT_INVALID, "not an e-mail address") from None
        key = f"{delivery.message_id.hex()}.{delivery.provider_key.hex()}"
        message = self._message(delivery, content, key)
        message["To"] = Address(addr_spec=recipient)
        body = message.as_bytes(policy=WIRE)
        if len(body) > self.codebook.limits["message_bytes"]:
            raise Permanent(Reason.TOO_LARGE, f"{len(body)} bytes in one mail")
        asked, url = self.settings, urlsplit(self.settings.base_url)
        login = (asked.username, asked.password.get_secret_value()) if asked.username else None
        is_starttls = url.scheme == "smtp" and asked.tls == "starttls"
        notify = "SUCCESS,FAILURE,DELAY" if asked.delivery_reports == "on" else "FAILURE,DELAY"
        return Mail(
            asked.base_url, self._sender(delivery), recipient, body, key, login, is_starttls, echo_of(delivery), notify
        )

    def _sender(self, delivery: Delivery) -> str:
        """The envelope's sender: where bounces go."""
        asked, keys = self.settings, self.settings.bounce_key.get_secret_value()
        if not asked.return_path:
            return asked.sender
        attempt = Echo(delivery.message_id, delivery.attempt, delivery.replay_id, delivery.provider_key)
        return return_path(asked.return_path, keys, attempt)

    def _message(self, delivery: Delivery, content: Content, key: str) -> EmailMessage:
        subject = " ".join(content.title.split())
        if not subject:
            raise Permanent(Reason.TEMPLATE_INVALID, "a mail needs a title: it becomes the subject")
        message = EmailMessage(policy=WIRE)
        message["From"] = Address(self.settings.sender_name, addr_spec=self.settings.sender)
        message["Subject"] = subject
        message["Date"] = format_datetime(datetime.fromtimestamp(delivery.accepted_at // 1000, UTC))
        message["Message-ID"] = f"<{key}@{self.settings.sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        if self.settings.unsubscribe and delivery.lane == Lane.BULK:
            message["List-Unsubscribe"] = f"<{self.settings.unsubscribe}>"
            if self.settings.unsubscribe.startswith("https:"):
                message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message.set_content(f"{content.text}\n\n{content.url}" if content.url else content.text, cte="base64")
        message.add_alternative(html_of(subject, content), subtype="html", cte="base64")
        message.set_boundary(f"=_{delivery.provider_key.hex()}")
        return message

    def classify_response(self, answer: Answer) -> Accepted:
        """A 2xx after the message is acceptance by the next hop; anything else is judged by the book."""
        text, command = answer.body.decode("utf-8", "replace"), answer.headers.get(SMTP_COMMAND, "")
        if command == "data" and 200 <= answer.status < 300:
            found = _QUEUED.search(text)
            return Accepted(found[1] if found is not None else text[:100], Status.ACCEPTED, str(answer.status))
        if answer.status < 400:
            raise UnknownOutcome(f"smtp_{answer.status}")
        code = code_of(answer.status, command, text, self.codebook)
        wait_s = _wished_s(text)
        if wait_s is None and code == "greylisted":
            wait_s = float(self.codebook.limits["greylist_s"])
        self.codebook.check(code, wait_s)
        raise UnknownOutcome(code)


def html_of(subject: str, content: Content) -> str:
    """The same words as a page that needs nothing from outside."""
    lines = "".join(f"<p>{escape(line)}</p>" for line in content.text.splitlines() if line.strip())
    link = f'<p><a href="{escape(content.url)}">{escape(content.url)}</a></p>' if content.url else ""
    return (
        f'<!doctype html><html lang="zh"><head><meta charset="utf-8"><title>{escape(subject)}</title></head>'
        f'<body style="font-size:16px;line-height:1.6">{lines}{link}</body></html>'
    )


def code_of(status: int, command: str, text: str, book: Codebook) -> str:
    """What stands in the book for a refusal: who was refused, greylisting, the enhanced code, or the three digits."""
    if command in ("connect", "mail") and status >= 500:
        return f"smtp_{command}_{status}"
    if status < 500 and _GREYLISTED.search(text):
        return "greylisted"
    found = _ENHANCED.match(text)
    if found is not None and found[1][0] == str(status)[0] and book.reason_of(found[1]) is not Reason.UNMAPPED:
        return found[1]
    return str(status)


def _wished_s(text: str) -> float | None:
    found = _WAIT.search(text)
    return None if found is None else float(found[1]) * (60 if found[2].lower() == "min" else 1)
