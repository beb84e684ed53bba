"""What is held: by type, channel, application or provider, from the record that says so to the one that releases it."""

from itertools import count
from pathlib import Path

import pytest

from infra.holds import Holds, Scope, key_of, write
from infra.kafka import LogRecord
from infra.settings import Settings
from schemas.configuration import HOLD, Hold
from schemas.errors import Permanent

ASKED = {"app_id": "his", "type": "lab_report", "channel": "sms", "provider": "aliyun"}


@pytest.fixture
def holds(tmp_path: Path) -> Holds:
    """Nothing held, and nothing followed."""
    return Holds(Settings(home=tmp_path, kafka="nowhere:0"))


OFFSETS = count(1)


def record(scope: str, name: str, *, is_held: bool = True, at: tuple[int, int] | None = None) -> LogRecord:
    """As it comes from the topic; `at`: offset and time of appending, else behind those before it."""
    offset, appended_at = at or (next(OFFSETS), 1_000)
    hold = Hold(scope, name, is_held)
    return LogRecord("config.holds", 0, offset, appended_at, key_of(hold), HOLD.encode(hold), ())


@pytest.mark.parametrize(
    ("scope", "name"), [("type", "lab_report"), ("channel", "sms"), ("app", "his"), ("provider", "aliyun")]
)
def test_each_scope_holds_its_own_and_is_released(holds: Holds, scope: str, name: str) -> None:
    """Another type, channel, application or provider goes on."""
    member = "app_id" if scope == "app" else scope
    holds.lay(record(scope, name))
    assert holds.is_held(**ASKED)
    assert not holds.is_held(**{**ASKED, member: "other"})
    holds.lay(record(scope, name, is_held=False))
    assert not holds.is_held(**ASKED)
    assert not holds.held


@pytest.mark.parametrize(
    ("scope", "said"), [("type", "message"), ("app", "message"), ("channel", "channel"), ("provider", "")]
)
def test_a_hold_speaks_of_a_channel_or_of_the_message(holds: Holds, scope: str, said: str) -> None:
    """A held provider may have a neighbour in its channel, so it is asked for by itself."""
    assert holds.scope_of("his", "lab_report", "sms") == ""
    holds.lay(record(scope, {"type": "lab_report", "app": "his", "channel": "sms", "provider": "aliyun"}[scope]))
    assert holds.scope_of("his", "lab_report", "sms") == said
    assert holds.scope_of("lis", "other", "webhook") == ""


def test_a_name_is_held_only_in_its_scope(holds: Holds) -> None:
    """An application that is called like a channel is not the channel; no provider is nobody's."""
    holds.lay(record("app", "sms"))
    holds.lay(record("provider", ""))
    assert not holds.is_held("his", "lab_report", "sms")


def test_the_version_grows_with_every_change_and_with_nothing_else(holds: Holds) -> None:
    """So that a reader looks again only when it must; a topic that is read again changes nothing."""
    holds.lay(record("channel", "sms"))
    holds.lay(record("channel", "sms"))
    holds.lay(record("type", "x", is_held=False))
    assert holds.version == 1
    holds.lay(record("channel", "sms", is_held=False))
    assert holds.version == 2


def test_a_topic_that_is_read_again_lets_nothing_go(holds: Holds) -> None:
    """After the broker was away it is read from its beginning, with releases that were taken back since."""
    told = [
        record("channel", "sms", is_held=is_held, at=(1 + at, 100 * at))
        for at, is_held in enumerate((True, False, True))
    ]
    for each in (*told, *told):
        was_held, before = holds.is_held(**ASKED), holds.version
        holds.lay(each)
        assert before < 3 or (was_held and holds.is_held(**ASKED))
    assert holds.version == 3


@pytest.mark.parametrize("at", [(0, 2_000), (9, 500)])
def test_what_is_written_later_counts(holds: Holds, at: tuple[int, int]) -> None:
    """In a topic that was made anew, and when the broker's clock was set back."""
    holds.lay(record("channel", "sms", at=(5, 1_000)))
    holds.lay(record("channel", "sms", is_held=False, at=at))
    assert not holds.held


def test_a_record_that_cannot_be_read_leaves_things_as_they_were(holds: Holds) -> None:
    """A hold must not be lifted by nonsense."""
    holds.lay(record("channel", "sms"))
    holds.lay(LogRecord("config.holds", 0, 1, 0, b"channel/sms", b"nonsense", ()))
    holds.lay(LogRecord("config.holds", 0, 2, 0, b"channel/sms", None, ()))
    assert holds.is_held(**ASKED)
    assert [hold.scope for hold in holds.held.values()] == [Scope.CHANNEL]


@pytest.mark.parametrize("wrong", [Hold("colour", "red"), Hold("channel", "")])
def test_what_names_nothing_is_not_written(tmp_path: Path, wrong: Hold) -> None:
    """Before any broker is asked."""
    with pytest.raises(Permanent, match="type, channel, app or provider"):
        write(Settings(home=tmp_path, kafka="nowhere:0"), wrong)
