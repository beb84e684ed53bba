"""Talks to the simulated providers' admin routes: tells them what a vendor's console would, reads what phones received.

Called by the sample run and `medpost phone`. Never sends a message itself.
"""

import json
import re
import urllib.request
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.error import URLError
from urllib.parse import urlencode

from msgspec import Struct, convert

from infra.registry import Snapshot
from infra.snapshot import accounts_of
from schemas.configuration import ChannelConfig, Template
from schemas.errors import UnavailableError
from sinks.channels.sms_tencent import vendor_template

TIMEOUT_S: Final = 10.0
PAGE: Final = 1_000
_SIGNED: Final = re.compile(r"^【[^】]*】")
_VARIABLE: Final = re.compile(r"\{\{\s*([a-z_]+)[^}]*\}\}")
"""A parameter in a text of ours, with or without a default; the vendor gets the value that we rendered."""


class Received(Struct, frozen=True):
    """One message as a recipient got it: UTC milliseconds, channel, who, and what they read."""

    seq: int
    at: int
    channel: str
    recipient: str
    message_id: str = ""
    title: str = ""
    text: str = ""


class Phone:
    """The recipients' phones and workstations, as the simulators at `url` keep them."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    @property
    def page(self) -> str:
        """Address of the page that shows what was received, for a browser on that machine."""
        return f"{self._url}/phone"

    def approve_templates(self, snapshot: Snapshot) -> int:
        """Register every vendor template of the registry, as a hospital does at its vendors; returns how many."""
        wanted = list(_templates(snapshot))
        self._ask("/sim/templates", wanted)
        return len(wanted)

    def push_wechat_to(self, gateway: str) -> str:
        """Have the service account's delivery events pushed to that gateway; returns the address, as told there."""
        url = f"{gateway}/v1/receipts/template"
        self._ask("/sim/receipts", {"provider": "template", "url": url})
        return url

    def received(self, since_ms: int) -> Iterator[Received]:
        """Everything taken since then, in order. Raises UnavailableError when the simulators do not answer."""
        after = 0
        while True:
            query = urlencode({"since": since_ms, "after": after, "limit": PAGE})
            page = self._ask(f"/sim/messages?{query}")["messages"]
            yield from convert(page, list[Received])
            if len(page) < PAGE:
                return
            after = page[-1]["seq"]

    def _ask(self, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the simulators' own address
            self._url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - as above
                return json.load(answer)
        except (URLError, OSError, ValueError) as problem:
            raise UnavailableError(f"模拟渠道商 {self._url} 没有应答", "看 `medpost status`") from problem


def _templates(snapshot: Snapshot) -> Iterable[dict[str, str]]:
    """Vendor templates as each vendor of the channel writes them, without the signature it puts in front itself."""
    for kind in snapshot.types.values():
        for entry in kind.channels:
            template, config = entry.template, snapshot.channels.get(entry.channel)
            if config is not None and template is not None and template.template_code:
                for account in accounts_of(config):
                    yield from _as_vendor_writes(account, template)


def _as_vendor_writes(account: ChannelConfig, template: Template) -> Iterable[dict[str, str]]:
    """Variables as the vendor writes them: `${name}`, `{1}` in the order of its setting, or `{{thing1.DATA}}`."""
    if account.provider == "template":
        yield {"provider": account.provider, "template_id": template.template_code, "text": _keyed_text(template)}
        return
    text = _vendor_text(template)
    if account.provider == "tencent":
        mapped = vendor_template(account.settings.get(f"template.{template.template_code}", "0()"))
        for number, name in enumerate(mapped.parameters, start=1):
            text = text.replace(f"${{{name}}}", f"{{{number}}}")
        told = {"template_id": mapped.template_id, "signature": account.settings.get("signature", template.signature)}
    else:
        told = {"template_code": template.template_code, "signature": template.signature}
    yield {"provider": account.provider, "text": text, **told}


def _vendor_text(template: Template) -> str:
    """What each of the vendor's variables stands for becomes that variable; one may stand for several of ours."""
    text = _SIGNED.sub("", template.text)
    for name, ours in sorted(template.parameters.items(), key=lambda one: -len(one[1])):
        text = text.replace(ours, f"${{{name}}}")
    return _VARIABLE.sub(r"${\1}", text)


def _keyed_text(template: Template) -> str:
    """The title, then the text with the vendor's keys in it."""
    text = template.text
    for key, ours in sorted(template.parameters.items(), key=lambda one: -len(one[1])):
        text = text.replace(ours, f"{{{{{key}.DATA}}}}", 1)
    return f"{template.title}\n{text}"
