"""The events with which a sink answers deliveries: each carries everything the delivery brought.

Called by the dispatcher. Pure: the moment is handed in, nothing is sent here.
"""

from msgspec import Struct

from schemas.errors import MedpostError, Reason, Transient
from schemas.records import Delivery, Event
from schemas.statuses import Stage, Status
from sinks.channel import Accepted, UnknownOutcome
from sinks.hints import Hint, by_reason, unmapped


class Scribe(Struct, frozen=True):
    """Writes the events of one worker for one provider ("" when there is none)."""

    worker: str
    provider: str = ""
    costs_money: bool = False

    def sending(self, delivery: Delivery, now_ms: int) -> Event:
        """The claim: from here on the provider may have been called."""
        return self._event(delivery, Stage.SENDING, now_ms)

    def dropped(self, delivery: Delivery, now_ms: int, reason: Reason, detail: str = "") -> Event:
        """No call was made, and none will be for this attempt."""
        return self._event(delivery, Stage.DROPPED, now_ms, reason=reason, detail=detail)

    def deferred(
        self, delivery: Delivery, now_ms: int, reason: Reason, until_ms: int, scope: str = "", detail: str = ""
    ) -> Event:
        """No call was made; another attempt may be made from `until_ms` on. `scope` is what stands in the way."""
        return self._event(delivery, Stage.DEFERRED, now_ms, reason=reason, until=until_ms, scope=scope, detail=detail)

    def unknown(self, delivery: Delivery, now_ms: int, how: str = "") -> Event:
        """The provider may or may not have taken it; `how` the call ended, as a word."""
        return self._event(delivery, Stage.UNKNOWN, now_ms, reason=Reason.UNKNOWN_OUTCOME, provider_code=how)

    def accepted(self, delivery: Delivery, now_ms: int, accepted: Accepted) -> Event:
        """The provider took it."""
        return self._event(
            delivery,
            Stage.OUTCOME,
            now_ms,
            status=accepted.level,
            provider_code=accepted.provider_code,
            provider_message_id=accepted.provider_message_id,
        )

    def failed(self, delivery: Delivery, now_ms: int, problem: MedpostError) -> Event:
        """The provider refused, or could not be asked; an unknown outcome is told as such."""
        code = str(getattr(problem, "provider_code", ""))
        if isinstance(problem, UnknownOutcome):
            return self.unknown(delivery, now_ms, code)
        wait_s = problem.retry_after_s if isinstance(problem, Transient) else None
        hint = self._hint_of(problem)
        return self._event(
            delivery,
            Stage.OUTCOME,
            now_ms,
            status=Status.FAILED,
            reason=problem.reason,
            provider_code=code,
            detail=problem.detail,
            until=0 if wait_s is None else now_ms + round(wait_s * 1000),
            retry=hint.retry,
            scope=hint.scope,
        )

    def _hint_of(self, problem: MedpostError) -> Hint:
        if problem.reason is Reason.UNMAPPED:
            return unmapped(costs_money=self.costs_money)
        found = getattr(problem, "hint", None)
        return found if isinstance(found, Hint) else by_reason(problem.reason)

    def _event(self, delivery: Delivery, stage: Stage, now_ms: int, status: str = "", **told: str | int) -> Event:
        asked_at = max(delivery.accepted_at, delivery.send_at)
        return Event(
            message_id=delivery.message_id,
            stage=stage,
            channel=delivery.channel,
            attempt=delivery.attempt,
            replay_id=delivery.replay_id,
            status=status or stage,
            at=now_ms,
            accepted_at=delivery.accepted_at,
            app_id=delivery.app_id,
            type=delivery.type,
            lane=delivery.lane,
            provider=self.provider,
            possible_duplicate=delivery.possible_duplicate,
            latency_ms=max(0, now_ms - delivery.accepted_at),
            lateness_ms=max(0, now_ms - asked_at),
            recipient_key=delivery.recipient_key,
            template_version=delivery.template_version,
            config_version=delivery.config_version,
            worker=self.worker,
            **told,  # type: ignore[arg-type]  # names and types are those of the four callers above
        )
