"""Tests of the rules between objects, each alone; `test_registry_files` has them with files and lines."""

from typing import Any

from infra.registry_forms import FORMS, ChannelForm, TemplateForm
from infra.registry_problems import Entry
from infra.registry_rules import NO_CHECKS, Account, Checks, problems_among
from infra.snapshot import EMPTY, Snapshot
from schemas.configuration import AppConfig, ChannelConfig, ProviderAccount
from schemas.errors import Permanent, Reason

CHANNEL = {
    "id": "sms", "provider": "aliyun", "base_url": "simulators:/x", "rate_per_s": 1.0, "max_in_flight": 1,
    "timeout": "5s", "success_levels": ["accepted"],
}  # fmt: skip
TYPE = {
    "id": "report", "name": "报告", "lane": "normal", "threshold": 0.5, "expires": "1h", "expires_at_most": "1h",
    "channels": [{"channel": "sms", "weight": 0.9, "timeout": "5s", "template": {"version": 1, "text": "{{ item }}"}}],
}  # fmt: skip


def entry(kind: str, **members: Any) -> Entry:
    """An object of a file whose lines do not matter here."""
    return Entry(kind, FORMS[kind].model_validate(members), "x.yaml", {(): 1}, (kind, 0))


def told(*entries: Entry, known: Snapshot = EMPTY, checks: Checks = NO_CHECKS, broken: str = "") -> list[str]:
    """What is wrong between them; `broken` is a channel that was refused already."""
    return [problem.text for problem in problems_among(entries, {("channels", broken)}, known, checks)]


def test_a_type_needs_its_channel() -> None:
    """In the files, in the registry, or at least refused already for another reason."""
    one = entry("types", **TYPE)
    assert told(one) == ["未知渠道 sms → 先在 channels 中定义它"]
    assert told(one, entry("channels", **CHANNEL)) == []
    assert told(one, known=Snapshot(1, channels={"sms": ChannelConfig("sms", success_levels=["accepted"])})) == []
    assert told(one, broken="sms") == []


def test_the_files_channel_counts_before_the_registrys() -> None:
    """What is applied together is judged together."""
    held = Snapshot(1, channels={"sms": ChannelConfig("sms", success_levels=["accepted", "read"])})
    channels = [{**TYPE["channels"][0], "success": "read"}]  # type: ignore[index]  # a list of dicts
    one = entry("types", **{**TYPE, "channels": channels})
    assert told(one, known=held) == []
    assert told(one, entry("channels", **CHANNEL), known=held) == ["渠道 sms 无法证明 read → 可用：accepted"]


def test_template_variables_are_asked_of_the_pillar() -> None:
    """And a template that it refuses is told with its words."""

    def refuse(_text: str) -> list[str]:
        raise Permanent(Reason.TEMPLATE_INVALID, "template: broken")

    pair = (entry("types", **TYPE), entry("channels", **CHANNEL))
    unfilled = told(*pair, checks=Checks(variables_in=lambda text: ["item"] if text else []))
    assert unfilled == ["模板变量 item 没有对应参数 → 在 parameters 中声明它，或改正名称"]
    assert told(*pair, checks=Checks(variables_in=refuse))[0] == "模板有误：template: broken → 改正该文本"


def test_free_text_has_its_own_variables() -> None:
    """They need no parameter."""
    pair = (entry("types", **{**TYPE, "free_text": True}), entry("channels", **CHANNEL))
    assert told(*pair, checks=Checks(variables_in=lambda _text: ["content", "content_url"])) == []


def test_a_provider_that_does_not_exist_is_told_once() -> None:
    """Its levels and settings are not asked for."""

    def refuse(_channel: str, _provider: str) -> list[str]:
        raise Permanent(Reason.CONFIG_MISSING, "no provider")

    def never(_form: object) -> None:
        raise AssertionError("asked")

    assert told(entry("channels", **CHANNEL), checks=Checks(None, refuse, never)) == ["没有这样的服务商：no provider"]


OTHER = {"provider": "tencent", "base_url": "simulators:/y", "rate_per_s": 1.0, "max_in_flight": 1, "timeout": "5s"}


def levels(_channel: str, _provider: str) -> list[str]:
    """Every provider proves as much."""
    return ["accepted"]


def test_a_channels_providers_are_told_apart_by_name() -> None:
    """The same one twice could not be told apart in events."""
    twice = entry("channels", **{**CHANNEL, "others": [OTHER, OTHER]})
    assert told(twice) == ["服务商 tencent 重复 → 一个渠道内每个服务商一项"]
    assert told(entry("channels", **{**CHANNEL, "others": [OTHER]})) == []


def test_every_provider_is_checked_like_the_first() -> None:
    """Each with its own settings, and the problem stands where that provider does."""
    asked: list[tuple[str, dict[str, str]]] = []

    class BadSettingError(Permanent):
        setting = "colour"

    def settings_of(form: ChannelForm) -> None:
        asked.append((form.provider, form.settings))
        if form.provider == "tencent":
            raise BadSettingError(Reason.CONFIG_MISSING, "wrong")

    lines = {(): 1, ("channels", 0, "others", 0): 9, ("channels", 0, "others", 0, "settings", "colour"): 12}
    form = FORMS["channels"].model_validate({**CHANNEL, "others": [{**OTHER, "settings": {"colour": "red"}}]})
    one = Entry("channels", form, "x.yaml", lines, ("channels", 0))
    (problem,) = problems_among([one], (), EMPTY, Checks(None, levels, settings_of))
    assert (problem.line, problem.text) == (12, "设置有误：wrong")
    assert asked == [("aliyun", {}), ("tencent", {"colour": "red"})]


def test_a_template_must_be_one_that_every_provider_can_send() -> None:
    """Asked of the files' channel, else of the registry's; texts that we render ourselves need no vendor's leave."""
    template = {"version": 1, "text": "x", "template_code": "SMS_1"}
    coded = entry("types", **{**TYPE, "channels": [{**TYPE["channels"][0], "template": template}]})  # type: ignore[index]  # a list of dicts

    def template_of(channel: str, account: Account, template: TemplateForm) -> str:
        has_it = account.settings.get("template.SMS_1") == "1()"
        return "" if account.provider == "aliyun" or has_it else f"{channel} lacks {template.template_code}"

    asked = Checks(template_of=template_of)
    second = ProviderAccount("tencent", settings={})
    held = Snapshot(1, channels={"sms": ChannelConfig("sms", "aliyun", success_levels=["accepted"], others=[second])})
    wanted = ["服务商 tencent 发不了该模板：sms lacks SMS_1 → 在渠道 sms 的 settings 中补上"]
    assert told(coded, known=held, checks=asked) == wanted
    mended = entry("channels", **{**CHANNEL, "others": [{**OTHER, "settings": {"template.SMS_1": "1()"}}]})
    assert told(coded, mended, known=held, checks=asked) == []
    assert told(entry("types", **TYPE), known=held, checks=asked) == []


def test_times_of_day_must_leave_room_to_send() -> None:
    """A message outlives the quiet hours, is not let go within them, and no time stands twice."""
    channel = entry("channels", **CHANNEL)
    short = entry("types", **{**TYPE, "quiet": "21:00-22:00"})
    assert [text.partition("，")[0] for text in told(short, channel)] == ["expires 须长于免打扰时段"]
    night = {**TYPE, "expires": "1d", "expires_at_most": "1d", "quiet": "21:00-07:00"}
    assert told(entry("types", **{**night, "send_times": ["07:00", "20:59"]}), channel) == []
    inside = told(entry("types", **{**night, "send_times": ["21:00", "06:59", "12:00", "12:00"]}), channel)
    assert [text.partition(" ")[0] for text in inside] == [
        "发送时刻",
        "发送时刻落在免打扰时段内",
        "发送时刻落在免打扰时段内",
    ]


def test_two_applications_do_not_share_a_kafka_user() -> None:
    """Within the files and with the registry; an application that is applied again is no other."""
    key = {"id": "k", "secret": "0123456789abcdef0123456789abcdef"}

    def app(name: str, **kafka: Any) -> Entry:
        return entry("apps", id=name, name=name, keys=[key], grants={}, kafka=kafka)

    shared = ["Kafka 用户 his 已属于应用 his → 每个应用用自己的用户"]
    assert told(app("his"), app("lis")) == []
    assert told(app("his"), app("lis", user="his")) == shared
    held = Snapshot(1, apps={"his": AppConfig("his")})
    assert told(app("lis", user="his"), known=held) == shared
    assert told(app("his", messages_per_s=5.0), known=held) == []


def test_a_sending_ends_before_the_next_begins() -> None:
    """Also where there are several a day; and the last one is within a year and a bit."""
    channel = entry("channels", **CHANNEL)

    def judged(**members: Any) -> list[str]:
        return told(entry("types", **{**TYPE, "expires_at_most": "2d", **members}), channel)

    daily = {"every_days": 1, "times": 7}
    assert judged(repeat=daily, expires="1d") == []
    wrong = ["expires 不得长于两次发送的间隔，否则两次会一起到 → 缩短 expires"]
    assert judged(repeat=daily, expires="25h") == wrong
    assert judged(repeat=daily, expires="2h", send_times=["22:00", "07:00", "23:30"]) == wrong
    assert judged(repeat=daily, expires="90m", send_times=["22:00", "07:00", "23:30"]) == []
    assert judged(repeat={"every_days": 180, "times": 3}) == [
        "最后一次要在 540 天之后，至多 400 天 → 减少 times 或缩短 every_days"
    ]
