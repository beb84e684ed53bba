from producers import mapping_files
from producers.hl7.segments import Segments
from schemas.errors import Reason
from tests.unit.producers.hl7.samples import REPORT

TABLE = """
site: test
rules:
  - event: "ORU^*"
    app: lis
    type: report
    recipient: {patient_id: "PID-3[5=MR].1"}
    parameters: {item: OBR-4.2, note: "NTE-99?"}
    %s
"""


def mapped(extra: str = "", run_id: str = "", text: str = REPORT) -> list[tuple[str, str]]:
    """Item and reference of every request that the table makes of a message."""
    mapping = mapping_files.parse(TABLE % extra, "t.yaml", run_id)
    found = [one.request for one in mapping.apply(Segments(text, "utf-8"))]
    return [(request.personalisation["item"], request.reference) for request in found if request]


def test_a_rule_makes_one_message_or_one_for_each_segment() -> None:
    """Without `each` the message's first order speaks; with it every order does."""
    assert [item for item, _ in mapped()] == ["电解质"]
    assert [item for item, _ in mapped("each: OBR")] == ["电解质", "血常规"]


def test_conditions_choose() -> None:
    """All of `when` and none of `unless`; patterns are those of file names, and absent is the empty text."""
    assert [item for item, _ in mapped('each: OBR\n    when: {OBX-8: "L*", OBR-25: ["C", "F"]}')] == ["血常规"]
    assert [item for item, _ in mapped("each: OBR\n    unless: {OBX-8: HH}")] == ["血常规"]
    assert mapped('when: {OBR-25: ""}') == []
    assert mapped("when: {MSH-3.1: PACS}") == []


def test_another_event_is_not_ours() -> None:
    """The pattern is compared with MSH-9 only."""
    assert mapped(text=REPORT.replace("ORU^R01", "MDM^T02")) == []


def test_a_run_has_references_of_its_own() -> None:
    """The same file under another run id is other messages, under the same the same."""
    (_, plain), (_, first), (_, again) = mapped()[0], mapped(run_id="r1")[0], mapped(run_id="r1")[0]
    assert first == again == f"r1/{plain}"
    assert plain.startswith("hl7/LIS/C1/")


def test_optional_parameters_are_left_out_and_recipients_are_needed() -> None:
    """An empty optional value is not sent as an empty text; nobody to send to is a refusal."""
    mapping = mapping_files.parse(TABLE % "", "t.yaml")
    (good,) = mapping.apply(Segments(REPORT, "utf-8"))
    (bad,) = mapping.apply(Segments(REPORT.replace("^MR", "^XX"), "utf-8"))
    assert good.request is not None
    assert set(good.request.personalisation) == {"item"}
    assert bad.refused is not None
    assert bad.refused.reason is Reason.RECIPIENT_UNKNOWN


def test_the_source_is_told() -> None:
    """System, event and time of the message go with the request, for the trace."""
    (one,) = mapping_files.parse(TABLE % "", "t.yaml").apply(Segments(REPORT, "utf-8"))
    assert one.request is not None
    source = one.request.source
    assert (source.system, source.event, source.time) == ("LIS", "ORU^R01", 1_767_594_615_000)
