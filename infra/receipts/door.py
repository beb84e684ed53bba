"""The door for pushed receipts: who may come in, and what an HTTP request of a provider becomes.

Called by whoever listens, with the account as configured and its secrets. Vendors of SMS do not sign their receipts:
the proof is a secret part of the path (`receipt_token`), the list of senders (`receipt_from`) and our own echo.
A provider that signs is believed by its signature. Pure; publishing and answering are the listener's.
"""

import hmac
from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from typing import Final, TypeAlias

from msgspec import Struct

from infra.receipts import aliyun, standard, tencent, wechat
from infra.receipts.notice import Notice, Source, request_of
from schemas.configuration import ChannelConfig
from schemas.errors import Permanent, Reason
from schemas.records import Request

BODY_BYTES: Final = 1_048_576
"""Vendors send some hundred lines at once, of some hundred bytes each."""


class Arrived(Struct, frozen=True):
    """One HTTP request: the secret part of its path, the sender's address, headers in lower case, the moment (UTC).

    `query` is what follows the path, decoded.
    """

    token: str
    peer: str
    headers: Mapping[str, str]
    body: bytes
    at_ms: int
    query: Mapping[str, str] = {}


Opening: TypeAlias = Callable[[Arrived, ChannelConfig, Mapping[str, str]], bytes]
"""What was sent, by somebody who is believed: a request, the account, its secrets. Raises Permanent otherwise."""


def by_path(arrived: Arrived, account: ChannelConfig, secrets: Mapping[str, str]) -> bytes:
    """Believed for the secret path and the list of senders."""
    check_sender(arrived, account, secrets)
    return arrived.body


def by_webhook(arrived: Arrived, _account: ChannelConfig, secrets: Mapping[str, str]) -> bytes:
    """Believed for the standard's signature."""
    standard.check_signature(secrets.get("secret", ""), arrived.headers, arrived.body, arrived.at_ms)
    return arrived.body


def by_wechat(arrived: Arrived, account: ChannelConfig, secrets: Mapping[str, str]) -> bytes:
    """Believed for the vendor's signature in the query, decrypted where the account has a key."""
    return wechat.opened(arrived.query, arrived.body, {**account.settings, **secrets}, arrived.at_ms)


Check: TypeAlias = Callable[[Mapping[str, str], Mapping[str, str], int], bytes]
"""The answer to a provider that tries an address: its query, the account's secrets, the moment. Raises Permanent."""


class Vendor(Struct, frozen=True):
    """How a provider's receipts are read, what it wants to hear, and why it is believed.

    `checked`: how it tries the address before it pushes there; None: it does not.
    """

    read: Callable[[bytes], list[Notice]]
    taken: bytes
    opened: Opening = by_path
    media_type: str = "application/json"
    checked: Check | None = None


VENDORS: Final[Mapping[str, Vendor]] = {
    "aliyun": Vendor(aliyun.read_push, aliyun.TAKEN),
    "standard": Vendor(standard.read_push, standard.TAKEN, by_webhook),
    "template": Vendor(wechat.read_push, wechat.TAKEN, by_wechat, "text/plain", wechat.answer_of_check),
    "tencent": Vendor(tencent.read_push, tencent.TAKEN),
}


def receipts_in(arrived: Arrived, account: ChannelConfig, secrets: Mapping[str, str]) -> list[Request]:
    """The requests to publish before it is answered with `taken_by`; lines about nobody's message are left out.

    `account` is one provider of the channel (see `infra.snapshot.accounts_of`). Raises Permanent: config_missing where
    the account takes no receipts, token_signature or token_expired for a sender that is not believed, param_invalid
    and too_large for what cannot be read.
    """
    vendor = VENDORS.get(account.provider)
    if vendor is None:
        raise Permanent(Reason.CONFIG_MISSING, f"{account.provider} sends no receipts")
    body = vendor.opened(arrived, account, secrets)
    if len(arrived.body) > BODY_BYTES:
        raise Permanent(Reason.TOO_LARGE, f"{len(arrived.body)} bytes of receipts")
    source = Source(account.channel, account.provider, arrived.at_ms)
    requests = [request_of(notice, source) for notice in vendor.read(body)]
    return [one for one in requests if one is not None]


def echo_to(arrived: Arrived, account: ChannelConfig, secrets: Mapping[str, str]) -> bytes:
    """What a provider wants to hear that tries the address; raises Permanent as `receipts_in` does."""
    vendor = VENDORS.get(account.provider)
    if vendor is None or vendor.checked is None:
        raise Permanent(Reason.CONFIG_MISSING, f"{account.provider} does not try addresses")
    return vendor.checked(arrived.query, secrets, arrived.at_ms)


def taken_by(provider: str) -> bytes:
    """The body (with status 200) by which the provider knows that its receipts are taken."""
    return VENDORS[provider].taken


def check_sender(arrived: Arrived, account: ChannelConfig, secrets: Mapping[str, str]) -> None:
    """Raise Permanent unless the path is the secret one and the sender one of the list, where there is a list."""
    token = secrets.get("receipt_token", "")
    if not token:
        raise Permanent(Reason.CONFIG_MISSING, f"{account.provider} has no receipt_token: it takes no receipts")
    if not hmac.compare_digest(arrived.token.encode(), token.encode()):
        raise Permanent(Reason.TOKEN_SIGNATURE, "not the path that the provider was told")
    allowed = account.settings.get("receipt_from", "")
    if allowed and not is_among(arrived.peer, allowed):
        raise Permanent(Reason.TOKEN_SIGNATURE, "not a sender of the list")


def is_among(peer: str, allowed: str) -> bool:
    """Whether an address is in one of the networks, which stand with commas between."""
    try:
        address = ip_address(peer)
        return any(address in ip_network(one.strip()) for one in allowed.split(","))
    except ValueError:
        return False
