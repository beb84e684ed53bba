"""What a key's kind forbids: a test key never leaves the simulated providers, a team key reaches the team alone.

Pure step of intake, after the recipient is found and before anything is rendered. A kind that is not known here is held
to the strictest of them. A live key passes untouched.
"""

from collections.abc import Sequence

from infra.snapshot import Snapshot, is_simulated
from schemas.configuration import LIVE, TEAM, AppConfig
from schemas.errors import Permanent, Reason
from schemas.records import Message
from streams.resolve import Resolved
from streams.route import Routed
from streams.skips import NOT_SIMULATED


def restrict(
    key_kind: str, routed: Sequence[Routed], at: tuple[Message, AppConfig, Resolved], snapshot: Snapshot
) -> Sequence[Routed]:
    """The channels that a key of that kind may use; `at`: the message, its application, its recipient.

    Raises Permanent(channel_not_granted) when a team key asks for somebody else than the team.
    """
    if key_kind == LIVE:
        return routed
    if key_kind == TEAM:
        _check_team(*at)
        return routed
    return [
        one
        if one.skip or _is_simulated(one.entry.channel, snapshot)
        else Routed(one.entry, NOT_SIMULATED.reason, NOT_SIMULATED.cause)
        for one in routed
    ]


def _check_team(message: Message, app: AppConfig, resolved: Resolved) -> None:
    if message.contact:
        raise Permanent(Reason.CHANNEL_NOT_GRANTED, "a team key may not give addresses (contact)")
    if not resolved.person_id or resolved.person_id not in app.team:
        raise Permanent(Reason.CHANNEL_NOT_GRANTED, f"a team key reaches only the team of application {app.app_id}")


def _is_simulated(channel: str, snapshot: Snapshot) -> bool:
    config = snapshot.channels.get(channel)
    return channel in snapshot.simulated or (config is not None and is_simulated(config))
