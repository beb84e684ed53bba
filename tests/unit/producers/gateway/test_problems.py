import msgspec
import pytest

from producers.gateway.accepting import read
from producers.gateway.models import MessageBody, Place
from producers.gateway.problems import TITLES, Refused, of_validation, problem, within

DECODE = msgspec.json.Decoder(MessageBody).decode


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        (b"{}", "missing_parameter", "/type"),
        (b'{"type":1}', "param_invalid", "/type"),
        (b'{"type":"x","tipe":1}', "param_invalid", "/tipe"),
        (b'{"type":"x","recipient":{"id_type":"a"}}', "missing_parameter", "/recipient/id_value"),
        (b'{"type":"x","recipient":{"id_type":"a","id_value":"b","a/b~":1}}', "param_invalid", "/recipient/a~1b~0"),
        (b'{"type":"x","content":[{"kind":"text"},{"kind":"video"}]}', "param_invalid", "/content/1/kind"),
        (b'{"type":"x","personalisation":{"a":1}}', "param_invalid", "/personalisation"),
        (b'{"type":"x","personalisation":{"":"1"}}', "param_invalid", "/personalisation"),
        (b'{"type":"x","send_at":"2026-01-01T00:00:00"}', "param_invalid", "/send_at"),
        (b'{"type":"x","channels":[""]}', "param_invalid", "/channels/0"),
        (b"[]", "param_invalid", ""),
        (b"{", "decode_error", ""),
        (b'{"type":"\\ud800"}', "decode_error", ""),
        (b"\xff", "decode_error", ""),
        (b'{"type":' + b"[" * 100_000, "param_invalid", "/type"),
    ],
)
def test_a_wrong_body_names_the_member_and_never_its_value(body: bytes, code: str, pointer: str) -> None:
    """Code and JSON pointer, and both languages."""
    with pytest.raises(Refused) as raised:
        read(DECODE, body)
    (found,) = raised.value.problems
    assert (found.code, found.source.pointer, raised.value.status) == (code, pointer, 400)
    assert found.detail.zh != ""
    assert found.detail.en != ""
    assert "video" not in found.detail.en + found.detail.zh


def test_ten_thousand_members_are_refused() -> None:
    """A map has a bound, and so has everything else."""
    body = msgspec.json.encode({"type": "x", "personalisation": {f"m{n}": "" for n in range(10_000)}})
    with pytest.raises(Refused) as raised:
        read(DECODE, body)
    assert raised.value.problems[0].source.pointer == "/personalisation"


def test_a_part_s_problem_is_moved_to_its_place() -> None:
    """The pointer of a message of a batch begins with its place."""
    assert (
        within(problem("too_large", source=Place(pointer="/type")), "/messages/7").source.pointer == "/messages/7/type"
    )


def test_every_code_has_a_status_and_both_languages() -> None:
    """Nobody is answered with an empty text."""
    assert all(400 <= status < 600 and zh and en for status, zh, en in TITLES.values())


def test_an_unforeseen_complaint_is_still_told() -> None:
    """New versions of the decoder may say something else."""
    assert of_validation("Something new - at `$.type`").source.pointer == "/type"
