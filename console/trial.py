"""A dry run's judge: what intake would say to each request, by the registry in force.

Called by `medpost publish jsonl | hl7 --dry-run`, once for each request, after the same reading as a real run. Who
signs and who the recipient is stays unasked. It publishes nothing, and keeps nothing but counts.
"""

from collections import Counter
from collections.abc import Iterator

from console.record_rules import objections
from infra.snapshot import Snapshot
from producers import requests
from producers.refusals import Refused
from producers.requests import MessageRequest
from schemas.errors import Permanent, Reason
from schemas.statuses import LANE_RANK, Lane
from streams.prioritise import lane_of


class Trial:
    """The judge at one moment (UTC ms); without a snapshot nobody could be asked, and everything passes."""

    def __init__(self, snapshot: Snapshot | None, now_ms: int) -> None:
        self._snapshot = snapshot
        self._now_ms = now_ms
        self._raised: Counter[tuple[str, Lane]] = Counter()

    @property
    def version(self) -> int:
        """Of the registry that was asked; 0: none could be."""
        return self._snapshot.version if self._snapshot is not None else 0

    def judge(self, app: str, request: MessageRequest) -> Refused | None:
        """Why intake would refuse it, line by line under the first reason; None when it would not."""
        if self._snapshot is None:
            return None
        try:
            message = requests.as_message(request, app, "", self._now_ms)
        except Permanent as problem:
            return Refused(Reason(problem.reason), problem.detail)
        found = list(objections(message, self._snapshot, self._now_ms))
        if found:
            remedy = "\n".join(dict.fromkeys(one.remedy for one in found if one.remedy))
            return Refused(Reason(found[0].reason), "\n".join(one.detail for one in found), remedy)
        kind = self._snapshot.types[message.type]
        lane = lane_of(message, kind)
        if request.priority and LANE_RANK[Lane(request.priority)] < LANE_RANK[lane]:
            self._raised[kind.type, lane] += 1
        return None

    def told(self) -> Iterator[str]:
        """What was asked and what was not, for the end of the run, in Chinese."""
        if not self.version:
            yield "! 没有核对登记（连不上登记库，或指定了 --no-check）：应用、类型、授权、参数都没有核对，也没有发布"
            return
        for (kind, lane), count in self._raised.items():
            yield f"! {count:,} 条 {kind} 要求的优先级高于该类型：会按 {lane} 发送"
        yield f"✓ 已按登记第 {self.version} 版核对应用、类型、授权、参数、渠道与时刻；接收人与签名没有核对；没有发布"
