"""What is told to whom was refused: one entry per thing that was wrong, in Chinese and English.

Made by every file of this package, answered by `conduct`. A text may repeat the names of members that the sender used,
never a value: answers get logged on the other side.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import structs

from producers.gateway.models import About, Bilingual, Place, Problem, Problems
from schemas.errors import Reason

DOC: Final = "/v1/docs#errors"

TITLES: Final[Mapping[str, tuple[int, str, str]]] = {
    Reason.PARAM_INVALID: (400, "参数不合要求", "a member is not as it must be"),
    Reason.MISSING_PARAMETER: (400, "缺少必填参数", "something that is needed is missing"),
    Reason.DECODE_ERROR: (400, "无法解析", "the body cannot be read"),
    Reason.TYPE_UNKNOWN: (400, "消息类型未登记", "the message type is not registered"),
    Reason.TYPE_DISABLED: (403, "消息类型已停用", "the message type is disabled"),
    Reason.TYPE_NOT_GRANTED: (403, "未授权的消息类型", "the application may not send this type"),
    Reason.CHANNEL_NOT_GRANTED: (403, "未授权的渠道或地址", "the application may not use this"),
    Reason.APP_DISABLED: (403, "应用已停用", "the application is disabled"),
    Reason.TOKEN_MISSING: (401, "缺少令牌", "a token is needed"),
    Reason.TOKEN_MALFORMED: (401, "令牌格式错误", "the token is malformed"),
    Reason.TOKEN_SIGNATURE: (401, "令牌签名无效", "the token's signature is not valid"),
    Reason.TOKEN_EXPIRED: (401, "令牌已过期", "the token has expired"),
    Reason.TOKEN_NOT_YET_VALID: (401, "令牌尚未生效", "the token is not valid yet"),
    Reason.TOKEN_AUDIENCE: (401, "令牌的受众不符", "the token is for somebody else"),
    Reason.APP_UNKNOWN: (401, "应用标识或密钥不正确", "app_key or app_secret is wrong"),
    Reason.REFERENCE_CONFLICT: (409, "同一引用号、不同内容", "the same reference with another body"),
    Reason.TOO_LATE: (409, "已来不及", "it is too late"),
    Reason.TOO_LARGE: (413, "内容过大", "too large"),
    Reason.RATE_LIMITED: (429, "请求过快", "too many requests"),
    Reason.QUOTA_EXHAUSTED: (429, "当日额度已用完", "the day's quota is used up"),
    Reason.TRANSIENT: (503, "暂时无法受理", "cannot be taken right now"),
    Reason.INTERNAL: (500, "内部错误", "an error of ours"),
    "sender_not_believed": (403, "回执来源不可信", "whoever sends these receipts is not believed"),
    "not_found": (404, "没有这个资源", "there is nothing here"),
    "method_not_allowed": (405, "不支持该方法", "this method is not supported here"),
    "slow_client": (408, "请求发送过慢", "the request came too slowly"),
    "media_type": (415, "不支持的内容类型", "this kind of body is not supported"),
    "headers_too_large": (431, "请求头过大", "the headers are too large"),
}
"""Code -> HTTP status, title in Chinese and English."""


class Refused(Exception):  # noqa: N818 - what happened to the request
    """The request is answered with these problems; `headers` go with the answer."""

    def __init__(self, problems: Sequence[Problem], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(problems[0].code)
        self.problems = list(problems)
        self.headers = dict(headers or {})
        self.message_id: str | None = None
        self.reference: str | None = None

    @property
    def status(self) -> int:
        """The HTTP status of the answer: that of the first problem."""
        return self.problems[0].status

    def body(self) -> Problems:
        """The answer."""
        return Problems(self.problems, self.message_id, self.reference)


def problem(code: str, detail: tuple[str, str] = ("", ""), source: Place | None = None, retry: str = "") -> Problem:
    """One problem; `detail` in Chinese and English (default: the title)."""
    status, zh, en = TITLES[code]
    title = Bilingual(zh, en)
    return Problem(
        str(code), status, title, Bilingual(*detail) if detail[0] else title, source or _NOWHERE, About(DOC, retry)
    )


_NOWHERE: Final = Place()


def refused(
    code: str, zh: str = "", en: str = "", pointer: str = "", headers: Mapping[str, str] | None = None
) -> Refused:
    """An exception with one problem."""
    return Refused([problem(code, (zh, en), Place(pointer=pointer))], headers)


def within(found: Problem, pointer: str) -> Problem:
    """The same problem of a part: its pointer begins with that of the part."""
    return structs.replace(found, source=Place(pointer=pointer + found.source.pointer))


_AT: Final = re.compile(r" - at (?:`key` in )?`([^`]*)`$")
_STEP: Final = re.compile(r"\.([^.\[\]`]+)|\[(\d+)\]")
_MISSING: Final = re.compile(r"Object missing required field `([^`]*)`")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `([^`]*)`")
_ENUM: Final = re.compile(r"Invalid enum value .*")
_TYPE: Final = re.compile(r"Expected `([^`]*)`, got `([^`]*)`")
_LENGTH: Final = re.compile(r"Expected `[^`]*` of length ([<>]=) (\d+)")


def of_validation(text: str) -> Problem:
    """The decoder's one complaint about a body, as a problem: which member, and what is wrong with it."""
    at = _AT.search(text)
    what = text[: at.start()] if at else text
    pointer = _pointer(at.group(1)) if at else ""
    if found := _MISSING.fullmatch(what):
        name = found.group(1)
        return problem(Reason.MISSING_PARAMETER, (f"缺少成员 {name}", f"{name} is missing"), _under(pointer, name))
    if found := _UNKNOWN.fullmatch(what):
        name = found.group(1)[:64]
        detail = (f"没有名为 {name} 的成员", f"there is no member called {name}")
        return problem(Reason.PARAM_INVALID, detail, _under(pointer, name))
    return problem(Reason.PARAM_INVALID, _said(what), Place(pointer=pointer))


def _said(what: str) -> tuple[str, str]:
    """A complaint in both languages; never the value it complains of."""
    if _ENUM.fullmatch(what):
        return "不是允许的取值", "not one of the allowed words"
    if found := _TYPE.fullmatch(what):
        return f"类型应为 {found.group(1)}，实为 {found.group(2)}", what
    if found := _LENGTH.fullmatch(what):
        most = found.group(1) == "<="
        return (
            f"长度应{'不超过' if most else '不少于'} {found.group(2)}",
            f"its length is {'at most' if most else 'at least'} {found.group(2)}",
        )
    if "timezone" in what:
        return "时间须带时区，例如 2026-01-05T14:30:00+08:00", "a time needs its zone, e.g. 2026-01-05T14:30:00+08:00"
    return f"不合要求：{what}", what


def _pointer(path: str) -> str:
    """`$.a[0].b` as the JSON pointer /a/0/b; it ends at a map, whose keys the path does not name."""
    steps = _STEP.finditer(path.partition("[...]")[0].removeprefix("$"))
    return "".join(f"/{escaped(found.group(1) or found.group(2))}" for found in steps)


def _under(pointer: str, name: str) -> Place:
    return Place(pointer=f"{pointer}/{escaped(name)}")


def escaped(step: str) -> str:
    """A name as one step of a JSON pointer (RFC 6901)."""
    return step.replace("~", "~0").replace("/", "~1")
