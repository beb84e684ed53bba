"""What the simulated vendor is told, and where the page is."""

from console.sample.phone import Phone, _templates
from infra.registry import Snapshot
from schemas.configuration import ChannelConfig, MessageType, ProviderAccount, Template, TypeChannel


def snapshot_with(template: Template | None, **settings: str) -> Snapshot:
    """A registry with one message type that has one SMS template; with settings, of a second provider."""
    kind = MessageType(type="lab_report", channels=[TypeChannel(channel="sms", template=template)])
    sms = ChannelConfig(
        "sms", "aliyun", others=[ProviderAccount("tencent", settings=dict(settings))] if settings else []
    )
    return Snapshot(types={"lab_report": kind}, channels={"sms": sms})


def test_the_vendor_gets_its_own_notation() -> None:
    """Our parameters become the vendor's, with or without a default, and its signature is left to it."""
    text = "【和安医院】{{ item }}已出。{{ note or '请携带就诊卡。' }}"
    (found,) = _templates(snapshot_with(Template(template_code="SMS_1", signature="和安医院", text=text)))
    assert found["text"] == "${item}已出。${note}"
    assert found["signature"] == "和安医院"


def test_a_vendors_variable_may_stand_for_several_of_ours() -> None:
    """Value and unit are one variable there, because the vendor refuses an empty one."""
    text, joined = "【和安医院】危急值 {{ value }} {{ unit }}", {"value": "{{ value }} {{ unit }}"}
    template = Template(template_code="SMS_1", signature="和安医院", text=text, parameters=joined)
    (found,) = _templates(snapshot_with(template))
    assert found["text"] == "危急值 ${value}"


def test_the_second_vendor_gets_positions() -> None:
    """In the order that its setting says."""
    joined = {"item": "{{ item }}", "note": "{{ note or '无' }}"}
    text = "【和安医院】{{ item }}已出，{{ note or '无' }}"
    template = Template(template_code="SMS_1", signature="和安医院", text=text, parameters=joined)
    first, second = _templates(snapshot_with(template, **{"template.SMS_1": "11(note, item)"}))
    assert (first["provider"], first["text"]) == ("aliyun", "${item}已出，${note}")
    assert second == {"provider": "tencent", "template_id": "11", "signature": "和安医院", "text": "{2}已出，{1}"}


def test_a_channel_without_a_template_is_passed_over() -> None:
    """Nothing is registered for a channel that cannot be used yet."""
    assert list(_templates(snapshot_with(None))) == []


def test_a_service_account_gets_its_keys_and_a_title() -> None:
    """Keys stand where our texts do, each once, below the title."""
    template = Template(
        title="报告", template_code="T1", text="项目：{{ item[:20] }}\n时间：{{ at }}",
        parameters={"thing1": "{{ item[:20] }}", "time2": "{{ at }}"},
    )  # fmt: skip
    kind = MessageType(type="lab_report", channels=[TypeChannel(channel="wechat", template=template)])
    snapshot = Snapshot(types={"lab_report": kind}, channels={"wechat": ChannelConfig("wechat", "template")})
    assert list(_templates(snapshot)) == [
        {"provider": "template", "template_id": "T1", "text": "报告\n项目：{{thing1.DATA}}\n时间：{{time2.DATA}}"}
    ]


def test_the_page_is_beside_the_providers() -> None:
    """Whether or not their address ends in a slash."""
    assert [Phone(url).page for url in ("http://127.0.0.1:1", "http://127.0.0.1:1/")] == [
        "http://127.0.0.1:1/phone"
    ] * 2
