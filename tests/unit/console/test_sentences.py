import pytest

from console.cli.messages import event_row
from console.listing import Format
from console.sentences import remark, told
from schemas.statuses import Stage
from tests.answers import event


@pytest.mark.parametrize("stage", list(Stage))
def test_every_stage_is_told_in_chinese(stage: Stage) -> None:
    """Also when hardly anything is known of the event."""
    sentence = told(event(stage, channel="sms"))
    assert not sentence.isascii()
    assert "{" not in sentence
    assert "None" not in sentence


def test_an_unknown_stage_is_told_by_its_own_word() -> None:
    """A newer writer may say what this reader does not know."""
    assert told(event("teleported")) == "teleported"


def test_taken_by_the_provider_is_not_told_as_delivered() -> None:
    """Only a receipt proves delivery."""
    taken = told(event(Stage.OUTCOME, status="accepted", provider="aliyun", provider_message_id="B17"))
    assert taken == "渠道商 aliyun 已接收，流水号 B17"
    assert "已送达" in told(event(Stage.RECEIPT, status="delivered", channel="sms"))


def test_a_failure_names_the_reason_and_the_providers_code() -> None:
    """Both are needed at three in the morning."""
    failed = event(Stage.OUTCOME, status="failed", provider="aliyun", reason="rate_limited", provider_code="isv.X")
    assert told(failed) == "渠道商 aliyun 未接收：渠道限流 rate_limited（代码 isv.X）"


def test_a_possible_double_is_said() -> None:
    """Where a call may have been made before."""
    assert told(event(Stage.SENDING, channel="sms", possible_duplicate=True)).endswith("（可能重复）")
    assert not told(event(Stage.COMPLETED, possible_duplicate=True)).endswith("（可能重复）")


def test_the_end_says_how_and_how_long() -> None:
    """Final status, channel, reason, time since acceptance."""
    end = event(Stage.COMPLETED, status="failed", channel="sms", reason="billing", latency_ms=2100)
    assert told(end) == "结束：失败 failed，渠道 sms，渠道欠费 billing，历时 2.10 秒"


@pytest.mark.parametrize(
    ("reason", "cause", "told_as"),
    [
        ("config_missing", "the recipient has no address in this channel", "接收人没有此渠道的地址 config_missing"),
        ("config_missing", "", "缺少配置 config_missing"),
        ("cancelled_by_sender", "the sender chose other channels", "发送方未选此渠道 cancelled_by_sender"),
        ("too_large", "71 characters, at most 70", "71 个字符，至多 70 too_large"),
    ],
)
def test_a_skipped_channel_is_told_with_its_cause(reason: str, cause: str, told_as: str) -> None:
    """Once: not again as a remark. Older events hold the word alone."""
    one = event(Stage.SKIPPED, channel="sms", reason=reason, detail=cause)
    assert (told(one), remark(one)) == (f"跳过渠道 sms：{told_as}", "")


def test_the_trace_shows_a_cause_once_to_a_person_and_in_english_to_a_program() -> None:
    """The row of `medpost messages events`."""
    cause = "the channel is disabled in this installation"
    one = event(Stage.SKIPPED, channel="sms", reason="config_missing", detail=cause)
    row = event_row(one, 0, Format.TABLE)
    assert (row["told"], row["detail"]) == ("跳过渠道 sms：本院已停用此渠道 config_missing", "")
    plain = event_row(one, 0, Format.JSON)
    assert (plain["reason"], plain["detail"]) == ("config_missing", cause)


def test_an_acceptance_remarks_its_place_and_leaves_causes_to_the_channels() -> None:
    """Each skipped channel has an event of its own."""
    detail = "2/7 of 019b0000-0000-7000-8000-000000000001; sms: the channel is not registered"
    one = event(Stage.ACCEPTED, detail=detail)
    assert ("共 7 次中的第 2 次" in told(one), remark(one)) == (True, detail.partition(";")[0])
    assert remark(event(Stage.ACCEPTED, detail="sms: the channel is not registered")) == ""
    assert remark(event(Stage.REJECTED, detail="parameter item is missing")) == "缺少参数 item"


def test_a_channel_that_was_not_needed_is_told_as_such() -> None:
    """Nothing went wrong: another one had already done it."""
    assert told(event(Stage.SKIPPED, channel="webhook")) == "跳过渠道 webhook：已不再需要"


def test_a_sending_of_a_message_that_repeats_says_which_it_is() -> None:
    """The first and the later ones; any other remark is none of that."""
    assert told(event(Stage.ACCEPTED, detail="1/7")).startswith("平台已受理（共 7 次中的第 1 次）")
    assert "第 2 次" in told(event(Stage.ACCEPTED, detail="2/7 of 019b0000-0000-7000-8000-000000000001"))
    assert "次）" not in told(event(Stage.ACCEPTED, detail="http/1 of old"))
