"""`/v1/receipts/{provider}`: what providers tell us later about messages, and the trial of the address before that.

Who is believed and what is said is `infra.receipts`; here it is published, and the provider hears that it was taken
only once the broker has it: else it comes again by itself. The same receipt twice is the same request. Whoever is not
believed is told so (403), counted, and told no more.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from prometheus_client import Counter as Metric

from infra.receipts.door import BODY_BYTES, VENDORS, Arrived, echo_to, receipts_in, taken_by
from infra.snapshot import accounts_of
from producers.gateway.call import Answer, Call, body_of
from producers.gateway.counter import Counter
from producers.gateway.problems import Refused, refused
from producers.outgoing import Outgoing
from schemas import topics
from schemas.codec import REQUEST
from schemas.configuration import ChannelConfig
from schemas.errors import Permanent, Reason
from schemas.records import Request
from schemas.statuses import Lane

T = TypeVar("T")
Held = tuple[ChannelConfig, Mapping[str, str]]
"""An account and its own secrets in clear: a channel may have several, with one provider or more."""

_NOT_THIS_ONE: Final = (Reason.CONFIG_MISSING, Reason.TOKEN_SIGNATURE, Reason.TOKEN_EXPIRED)
"""Another account of the same provider may still be meant."""
_NOT_BELIEVED: Final[Mapping[str, tuple[str, str]]] = {
    Reason.TOKEN_SIGNATURE: (
        "签名、秘密路径或来源地址与登记的不符",
        "signature, secret path or address are not the registered ones",
    ),
    Reason.TOKEN_EXPIRED: ("时间戳与本机时钟相差超过 5 分钟", "the timestamp is more than 5 minutes from our clock"),
}
DISBELIEVED: Final = Metric(
    "medpost_gateway_receipts_disbelieved_total", "pushes nobody was believed for", ["provider"]
)


async def take_receipts(counter: Counter, call: Call) -> Answer:
    """Publish what a provider reports; answered in the words that it wants to hear."""
    provider, held = _meant(counter, call)
    body = await body_of(call.request, BODY_BYTES, counter.settings.gateway_body_s, is_json=False)
    await _publish(counter, read(_arrived(call, body), held))
    return Answer(200, taken_by(provider), content_type=VENDORS[provider].media_type)


async def check_receipts(counter: Counter, call: Call) -> Answer:
    """What a provider wants to hear that tries whether this is the right address."""
    provider, held = _meant(counter, call)
    echo = by_whom_believed(echo_to, _arrived(call), held)
    return Answer(200, echo, content_type=VENDORS[provider].media_type)


def _meant(counter: Counter, call: Call) -> tuple[str, list[Held]]:
    """The provider in the path, and its accounts; counts the call. Raises Refused(404) where there is none."""
    provider = call.request.match_info["provider"]
    accounts = [one for one in _accounts(counter) if one.provider == provider]
    if provider not in VENDORS or not accounts:
        raise refused("not_found")
    counter.quota.request(f"receipts/{provider}", counter.clock.monotonic_s())
    return provider, [(each, counter.secrets_of(each)) for each in accounts]


def _arrived(call: Call, body: bytes = b"") -> Arrived:
    request = call.request
    headers = {name.lower(): value for name, value in request.headers.items()}
    token = request.match_info.get("token", "")
    return Arrived(token, request.remote or "", headers, body, call.now_ms, dict(request.query))


def read(arrived: Arrived, held: Sequence[Held]) -> list[Request]:
    """The requests in a push, by the first account that believes it; raises as `by_whom_believed`."""
    return by_whom_believed(receipts_in, arrived, held)


def by_whom_believed(
    ask: Callable[[Arrived, ChannelConfig, Mapping[str, str]], T], arrived: Arrived, held: Sequence[Held]
) -> T:
    """The word of the first account that believes it, each by its own secrets.

    Raises Refused, 403 where none does and 404 where none takes any; Permanent for what a believed sender garbles.
    """
    failed = Permanent(Reason.CONFIG_MISSING)
    for account, secrets in held:
        try:
            return ask(arrived, account, secrets)
        except Permanent as problem:
            if problem.reason not in _NOT_THIS_ONE:
                raise
            failed = failed if problem.reason == Reason.CONFIG_MISSING else problem
    raise _disbelieved(failed, held[0][0].provider)


def _disbelieved(failed: Permanent, provider: str) -> Refused:
    if failed.reason == Reason.CONFIG_MISSING:
        return refused("not_found")
    DISBELIEVED.labels(provider).inc()
    return refused("sender_not_believed", *_NOT_BELIEVED[failed.reason])


def _accounts(counter: Counter) -> list[ChannelConfig]:
    return [account for config in counter.snapshot.channels.values() for account in accounts_of(config)]


async def _publish(counter: Counter, requests: list[Request]) -> None:
    topic = topics.REQUESTS.named(counter.settings.namespace)
    shipment = counter.outbox.shipment()
    for one in requests:
        await shipment.put_patiently(Outgoing("", Lane.NORMAL, topic, one.request_id, REQUEST.encode(one)), [])
    await shipment.arrived()
