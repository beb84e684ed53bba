from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from console.credentials import Credential
from console.publishing import Outcome
from console.sample import hospital
from console.sample.hospital import SampleTotals, publish_sample
from infra.settings import Settings
from producers.acknowledgement import NotAcknowledgedError
from producers.requests import MessageRequest
from schemas.errors import UnavailableError

APPS = (
    "his", "lis", "pacs", "booking", "cashier", "emr", "surgery", "obstetrics", "pharmacy", "followup", "nursing",
    "checkup", "blood",
)  # fmt: skip
REGISTERED = {app: Credential(f"{app}-1", f"right-{app}") for app in APPS}


class Office:
    """Stands for all clients: remembers who sent what under which secret and how far behind the clock was."""

    sent: list[tuple[str, str, MessageRequest]] = []  # noqa: RUF012 - emptied by the fixture
    is_silent = False

    def __init__(
        self, _settings: Settings, credentials: dict[str, Credential], _lanes: dict[str, str], clock: Any
    ) -> None:
        self._credentials = credentials

    def client_of(self, app: str) -> Any:
        """A client that takes everything."""
        return _Client(app, self._credentials[app].secret)

    def close(self) -> tuple[str, ...]:
        """Nothing is left."""
        return ()


class _Client:
    def __init__(self, app: str, secret: str) -> None:
        self._named = app, secret

    def submit(self, request: MessageRequest) -> "Future[str]":
        """Acknowledged at once, or never."""
        Office.sent.append((*self._named, request))
        answer: Future[str] = Future()
        if Office.is_silent:
            answer.set_exception(NotAcknowledgedError("silence", "id"))
        else:
            answer.set_result(f"id-{len(Office.sent)}")
        return answer


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Office]]:
    """The registry and the clients replaced."""
    monkeypatch.setattr(hospital, "read_registry", lambda _: (REGISTERED, {}))
    monkeypatch.setattr(hospital, "Clients", Office)
    Office.sent.clear()
    yield Office
    Office.is_silent = False


def published(run_id: str = "r1") -> tuple[SampleTotals, list[str]]:
    """The totals of the day, and what was told."""
    told: list[str] = []
    return publish_sample(Settings(kafka="127.0.0.1:9"), run_id, told.append), told


def test_the_day_covers_every_type_and_application(office: type[Office]) -> None:
    """Twenty types, each from its application or two; the day reconciles."""
    totals, told = published()
    assert totals.is_reconciled
    assert totals.awaited == len(office.sent)
    good = [(app, request.type) for app, secret, request in office.sent if secret.startswith("right")]
    counted = Counter(good)
    assert {pair for pair in counted if counted[pair] > 1} == {
        ("his", "registration_confirmed"), ("his", "queue_called"), ("lis", "lab_report"), ("lis", "critical_value"),
        ("pacs", "exam_report"), ("booking", "exam_booked"), ("booking", "visit_cancelled"),
        ("his", "registration_refunded"),
        ("cashier", "payment_due"), ("cashier", "e_invoice"), ("emr", "payment_due"), ("emr", "discharge_summary"),
        ("surgery", "surgery_progress"), ("obstetrics", "prenatal_visit"), ("pharmacy", "medication_reminder"),
        ("pharmacy", "adverse_event"), ("followup", "follow_up"), ("nursing", "bed_ready"),
        ("nursing", "infusion_ending"), ("nursing", "adverse_event"), ("checkup", "checkup_report"),
        ("blood", "blood_ready"), ("blood", "adverse_event"),
    }  # fmt: skip
    assert len(told) == len(totals.rows()) == len(hospital.SOURCES)
    assert all(set(row) == set(SampleTotals.HEADINGS) for row in totals.rows())


def test_what_concerns_nobody_makes_no_message(office: type[Office]) -> None:
    """Charges beside a payment, orders taken back and papers that are not signed are read, and told to nobody."""
    totals, _ = published()
    made = Counter(request.type for app, _, request in office.sent if app in ("cashier", "emr", "surgery"))
    assert (made["e_invoice"], made["discharge_summary"], made["surgery_progress"]) == (24, 9, 20)
    assert totals.sources["电子病历"].outcomes[Outcome.UNMAPPED] == 6
    stages = {request.personalisation["stage"] for _, _, request in office.sent if request.type == "surgery_progress"}
    assert stages == {"进入手术室", "手术开始", "手术结束", "进入复苏室", "返回病房"}


def test_only_the_drug_that_has_a_note_has_a_caution(office: type[Office]) -> None:
    """Two drugs of one prescription: each its own instructions, and no other's caution."""
    published()
    reminders = [request for _, _, request in office.sent if request.type == "medication_reminder"]
    told = {request.personalisation["drug"]: request for request in reminders}
    assert told["阿莫西林胶囊"].personalisation["caution"] == "青霉素过敏者禁用"
    assert "caution" not in told["苯磺酸氨氯地平片"].personalisation


def test_the_spoiled_ones_are_refused_for_every_reason(office: type[Office]) -> None:
    """Bytes, type, control id, parameter, JSON: each with file, number and remedy."""
    totals, _ = published()
    reasons = Counter(ended.reason for ended in totals.refused)
    assert reasons == {"decode_error": 5, "param_invalid": 5, "missing_parameter": 3}
    assert all(ended.offer.number and ended.offer.source and ended.remedy for ended in totals.refused)


def test_wrong_keys_are_wrong_on_purpose_only(office: type[Office]) -> None:
    """Two messages go out under a secret that belongs to nobody, one of them for an application that nobody knows."""
    published()
    wrong = [app for app, secret, _ in office.sent if secret == hospital.WRONG_SECRET]
    assert wrong == ["archive", "lis"]


def test_another_run_is_other_messages(office: type[Office]) -> None:
    """References differ by the run id alone, and every message has one."""
    published("r1")
    first = [request.reference for *_, request in office.sent]
    office.sent.clear()
    published("r2")
    second = [request.reference for *_, request in office.sent]
    assert all(reference.startswith("r1/") for reference in first)
    assert [reference.removeprefix("r1/") for reference in first] == [one.removeprefix("r2/") for one in second]


def test_a_silent_broker_is_told(office: type[Office]) -> None:
    """An unacknowledged day is no success."""
    office.is_silent = True
    with pytest.raises(UnavailableError):
        published()
