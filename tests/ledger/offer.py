"""Offers messages as hospital systems do, through the SDK, at a steady rate, and keeps account of every answer.

Called by the course; runs in a thread of its own. What is not acknowledged is offered again under the same reference
until it is. One in a hundred is offered a second time on purpose, and a few under a reference that is taken. It knows
the sample hospital, and nothing of what happens behind the SDK.
"""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct, structs

from producers.publisher import ClientOptions, MedpostClient
from producers.requests import MessageRequest
from schemas import ids
from schemas.errors import MedpostError, Reason
from schemas.statuses import Lane
from tests.ledger.asker import Asker
from tests.ledger.judge import Offer

if TYPE_CHECKING:
    from concurrent.futures import Future

KEYS: Final[Mapping[str, str]] = {
    "his": "demo-only-his-0123456789-abcdefghijklmnop",
    "lis": "demo-only-lis-0123456789-abcdefghijklmnop",
    "pacs": "demo-only-pacs-0123456789-abcdefghijklmno",
    "booking": "demo-only-booking-0123456789-abcdefghijkl",
}
"""The sample hospital's demonstration keys, as its registry files have them."""
FORGER: Final = "forger"
"""Stands for an application's client with a wrong key."""
DELIVERY_S: Final = 8.0
"""Shorter than a broker's return on a busy machine, so that offering again is tried, too."""
AGAIN_S: Final = 0.5
REPEATED: Final = 0.01
CONFLICTING: Final = 0.002
LOOK_S: Final = 0.005


class Kind(Struct, frozen=True):
    """A message type with its application, lane, share of all messages, and parameters."""

    type: str
    app_id: str
    lane: Lane
    share: float
    parameters: tuple[str, ...]


KINDS: Final = (
    Kind("lab_report", "lis", Lane.NORMAL, 0.27, ("item", "report_time")),
    Kind(
        "registration_confirmed", "his", Lane.NORMAL, 0.12, ("department", "doctor", "visit_time", "location", "number")
    ),
    Kind("exam_report", "pacs", Lane.NORMAL, 0.10, ("item", "report_time")),
    Kind("exam_booked", "booking", Lane.NORMAL, 0.08, ("item", "exam_time", "location")),
    Kind("visit_cancelled", "booking", Lane.NORMAL, 0.05, ("department", "doctor", "visit_date")),
    Kind("queue_called", "his", Lane.URGENT, 0.23, ("department", "room", "number")),
    Kind("critical_value", "lis", Lane.URGENT, 0.05, ("ward", "bed", "item", "value", "unit")),
    Kind("follow_up", "his", Lane.BULK, 0.10, ("department", "question", "due_date")),
)
MAGIC: Final[Mapping[str, float]] = {"P9001": 0.004, "P9006": 0.004, "P9007": 0.002, "P9009": 0.002, "P9008": 0.003}
"""Recipients whose number makes the simulators refuse, fail in passing, throttle, find fault, or cut the socket."""
CUT: Final = "P9008"
CUT_UNTIL: Final = 0.7
"""Part of the run in which sockets are cut: their time-outs and fallbacks, 50 s, shall be over soon after its end."""
REFUSALS: Final = (
    Reason.RECIPIENT_UNKNOWN,
    Reason.MISSING_PARAMETER,
    Reason.TYPE_NOT_GRANTED,
    Reason.TYPE_UNKNOWN,
    Reason.TOKEN_SIGNATURE,
)
REFUSED: Final = 0.01
SCHEDULED: Final = 0.03
"""Part of the messages that shall go out later, some seconds after they were offered."""
DELAY_S: Final = (5, 40)
CANCELLED: Final = 0.4
"""Part of the scheduled ones that their sender takes back as soon as they are acknowledged."""


class Wanted(Struct, frozen=True):
    """One message to offer: who offers it, what, and the reason why it must be refused, if it must."""

    client: str
    app_id: str
    lane: Lane
    request: MessageRequest
    refusal: str = ""
    delay_s: int = 0
    is_cancelled: bool = False

    @property
    def message_id(self) -> bytes:
        """The id that its reference gives it."""
        return ids.from_reference(self.app_id, self.request.reference)


def wanted(number: int, seed: int, *, may_be_cut: bool = True) -> Wanted:
    """The message of that number: the same for the same seed.

    What is cut off by the provider waits for its time-outs; those who want to end soon do without.
    """
    dice = random.Random(f"{seed}/{number}")
    (kind,) = dice.choices(KINDS, [one.share for one in KINDS])
    is_for_staff = kind.type == "critical_value"
    recipient = (
        ("staff_id", f"S{dice.randint(1, 10):03d}")
        if is_for_staff
        else ("patient_id", _patient(dice, kind, may_be_cut))
    )
    request = MessageRequest(
        type=kind.type,
        recipient=recipient,
        personalisation=values(kind, number),
        reference=f"ledger-{seed}-{number}",
    )
    made = Wanted(kind.app_id, kind.app_id, kind.lane, request)
    if dice.random() < SCHEDULED and kind.type != "queue_called":
        return structs.replace(made, delay_s=dice.randint(*DELAY_S), is_cancelled=dice.random() < CANCELLED)
    return _spoiled(made, dice.choice(REFUSALS)) if dice.random() < REFUSED else made


def values(kind: Kind, number: int) -> dict[str, str]:
    """Values of a type's parameters; times are times, as WeChat's typed keys want them."""
    time_text = f"2027-01-{number % 28 + 1:02d} {number % 24:02d}:{number % 60:02d}"
    return {
        name: time_text if name.endswith(("_time", "_date")) else f"{name} {number}"[:10] for name in kind.parameters
    }


def _patient(dice: random.Random, kind: Kind, may_be_cut: bool) -> str:
    chance = dice.random()
    for patient, share in MAGIC.items():
        chance -= share
        if chance < 0 and (patient != CUT or (may_be_cut and kind.lane != Lane.BULK)):
            return patient
    return f"P{dice.randint(1, 60):04d}"


def _spoiled(made: Wanted, reason: Reason) -> Wanted:
    """The same message, made so that intake must refuse it for that reason."""
    request = made.request
    if reason is Reason.TOKEN_SIGNATURE:
        return structs.replace(made, client=FORGER, app_id="his", refusal=reason)
    if reason is Reason.TYPE_NOT_GRANTED:
        stranger = "pacs" if made.app_id != "pacs" else "his"
        return structs.replace(made, client=stranger, app_id=stranger, refusal=reason)
    changes: dict[Reason, MessageRequest] = {
        Reason.RECIPIENT_UNKNOWN: structs.replace(request, recipient=("patient_id", "P8888")),
        Reason.MISSING_PARAMETER: structs.replace(request, personalisation={}),
        Reason.TYPE_UNKNOWN: structs.replace(request, type="no_such_type"),
    }
    lane = Lane.NORMAL if reason is Reason.TYPE_UNKNOWN else made.lane
    return structs.replace(made, request=changes[reason], lane=lane, refusal=reason)


class Offering:
    """Offers `count` messages at `rate_per_s`; `run` blocks, `start` does it in a thread.

    Its counts may be read while it runs.
    """

    def __init__(self, bootstrap: str, count: int, rate_per_s: float, seed: int) -> None:
        self._count = count
        self._rate_per_s = rate_per_s
        self._seed = seed
        self._dice = random.Random(seed)
        lanes = {kind.type: str(kind.lane) for kind in KINDS}
        options = ClientOptions(lanes=lanes, delivery_timeout_s=DELIVERY_S)
        self._clients = {app: MedpostClient(bootstrap, app, f"{app}-1", key, options) for app, key in KEYS.items()}
        self._clients[FORGER] = MedpostClient(bootstrap, "his", "his-1", "not-the-key-of-this-application-0", options)
        self._asker = Asker(bootstrap)
        self._thread = threading.Thread(target=self.run, name="offering", daemon=True)
        self._lock = threading.Lock()
        self._again: deque[tuple[float, Wanted, Callable[[Wanted], None]]] = deque()
        self._unanswered = 0
        self.accepted: list[Wanted] = []
        """Acknowledged, each once."""
        self.offered = 0
        self.repeated = 0
        self.conflicting: list[bytes] = []
        self.retried = 0
        self.slowest_s = 0.0
        self.ended_at_ms = 0
        self.fault: BaseException | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether there is something left to offer, or to be acknowledged."""
        return self._thread.is_alive()

    def run(self) -> None:
        """Offer all; ends when everything is acknowledged."""
        try:
            self._offer_all()
            while self._unanswered or self._again:
                self._offer_again()
                time.sleep(LOOK_S)
        except BaseException as fault:  # noqa: BLE001 - whoever waits is told
            self.fault = fault
        finally:
            self.ended_at_ms = time.time_ns() // 1_000_000
            for client in self._clients.values():
                client.close(1)
            self._asker.close()

    def _offer_all(self) -> None:
        began_s = time.monotonic()
        for number in range(self._count):
            while time.monotonic() < began_s + number / self._rate_per_s:
                self._offer_again()
                time.sleep(LOOK_S)
            one = _timed(wanted(number, self._seed, may_be_cut=number < self._count * CUT_UNTIL))
            self._submit(one, self._note)
            self.offered += 1

    def _offer_again(self) -> None:
        with self._lock:
            ripe = [self._again.popleft() for _ in range(len(self._again)) if self._again[0][0] <= time.monotonic()]
        for _, one, then in ripe:
            self._submit(one, then)

    def _submit(self, one: Wanted, then: Callable[[Wanted], None]) -> None:
        """Offer it; `then` is called when it is acknowledged, until then it is offered again."""
        began_s = time.monotonic()
        with self._lock:
            self._unanswered += 1

        def answered(answer: "Future[str]") -> None:
            fault = answer.exception()
            with self._lock:
                self._unanswered -= 1
                self.slowest_s = max(self.slowest_s, time.monotonic() - began_s)
                if fault is not None:
                    self._later(one, then)
                    return
            then(one)

        try:
            answer = self._clients[one.client].submit(one.request)
        except MedpostError:
            with self._lock:
                self._unanswered -= 1
                self._later(one, then)
        else:
            answer.add_done_callback(answered)

    def _later(self, one: Wanted, then: Callable[[Wanted], None]) -> None:
        self.retried += 1
        self._again.append((time.monotonic() + AGAIN_S, one, then))

    def _note(self, one: Wanted) -> None:
        """It is acknowledged: now and then it is offered once more, or something else under its reference."""
        if one.is_cancelled:
            self._asker.cancel(one)
        with self._lock:
            self.accepted.append(one)
            chance = self._dice.random()
            if chance < REPEATED:
                self.repeated += 1
                self._again.append((time.monotonic() + AGAIN_S, one, _nothing))
            elif chance < REPEATED + CONFLICTING and not one.refusal:
                self.conflicting.append(one.message_id)
                self._again.append((time.monotonic() + AGAIN_S, _another(one), _nothing))

    def offers(self) -> list[Offer]:
        """What was acknowledged, for the judge."""
        return [Offer(one.message_id, one.refusal, _send_at(one)) for one in self.accepted]


def _timed(one: Wanted) -> Wanted:
    """The message with its time, if it has one: from now on it is the same whenever it is offered."""
    if not one.delay_s:
        return one
    at_ms = time.time_ns() // 1_000_000 + one.delay_s * 1000
    return structs.replace(one, request=structs.replace(one.request, send_at=at_ms))


def _send_at(one: Wanted) -> int:
    at = one.request.send_at
    return at if isinstance(at, int) else 0


def _nothing(_: Wanted) -> None:
    """A repeat is not counted."""


def _another(one: Wanted) -> Wanted:
    """Something else under the same reference."""
    texts = {name: f"{text}!" for name, text in one.request.personalisation.items()}
    return structs.replace(one, request=structs.replace(one.request, personalisation=texts))
