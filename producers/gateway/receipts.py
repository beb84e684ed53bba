"""`POST /v1/receipts/{provider}`: what providers tell us later about messages.

Who is believed and what is said is `infra.receipts`; here it is published, and the provider hears that it was taken
only once the broker has it: else it comes again by itself. The same receipt twice is the same request.
"""

from collections.abc import Mapping
from typing import Final

from infra.receipts.door import BODY_BYTES, VENDORS, Arrived, receipts_in, taken_by
from infra.snapshot import accounts_of
from producers.gateway.call import Answer, Call, body_of
from producers.gateway.counter import Counter
from producers.gateway.problems import refused
from producers.outgoing import Outgoing
from schemas import topics
from schemas.codec import REQUEST
from schemas.configuration import ChannelConfig
from schemas.errors import Permanent, Reason
from schemas.records import Request
from schemas.statuses import Lane

_NOT_THIS_ONE: Final = (Reason.CONFIG_MISSING, Reason.TOKEN_SIGNATURE, Reason.TOKEN_EXPIRED)
"""Another account of the same provider may still be meant."""


async def take_receipts(counter: Counter, call: Call) -> Answer:
    """Publish what a provider reports; answered in the words that it wants to hear."""
    request = call.request
    provider = request.match_info["provider"]
    accounts = [account for account in _accounts(counter) if account.provider == provider]
    if provider not in VENDORS or not accounts:
        raise refused("not_found")
    counter.quota.request(f"receipts/{provider}", counter.clock.monotonic_s())
    body = await body_of(request, BODY_BYTES, counter.settings.gateway_body_s, is_json=False)
    headers = {name.lower(): value for name, value in request.headers.items()}
    arrived = Arrived(
        request.match_info.get("token", ""), request.remote or "", headers, body, call.now_ms, dict(request.query)
    )
    await _publish(counter, read(arrived, accounts, {each.channel: counter.secrets_of(each) for each in accounts}))
    return Answer(200, taken_by(provider))


def read(arrived: Arrived, accounts: list[ChannelConfig], secrets: Mapping[str, Mapping[str, str]]) -> list[Request]:
    """The requests, by the first account that believes it; raises Permanent, or Refused(404) where none takes any."""
    failed = Permanent(Reason.CONFIG_MISSING)
    for account in accounts:
        try:
            return receipts_in(arrived, account, secrets[account.channel])
        except Permanent as problem:
            if problem.reason not in _NOT_THIS_ONE:
                raise
            failed = problem
    if failed.reason == Reason.CONFIG_MISSING:
        raise refused("not_found")
    raise failed


def _accounts(counter: Counter) -> list[ChannelConfig]:
    return [account for config in counter.snapshot.channels.values() for account in accounts_of(config)]


async def _publish(counter: Counter, requests: list[Request]) -> None:
    topic = topics.REQUESTS.named(counter.settings.namespace)
    shipment = counter.outbox.shipment()
    for one in requests:
        await shipment.put_patiently(Outgoing("", Lane.NORMAL, topic, one.request_id, REQUEST.encode(one)), [])
    await shipment.arrived()
