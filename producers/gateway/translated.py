"""What lower floors say in English when they refuse something, said in Chinese for the answer's `zh`.

Used by `keys`, `conduct` and `messages`. What has no translation here is answered with the code's own Chinese title:
a text in two languages at once is no help to anybody.
"""

import re
from typing import Final

_SAID: Final = tuple(
    (re.compile(pattern), chinese)
    for pattern, chinese in {
        r"not three parts joined by dots, or too long": "令牌应由三段以点连接而成，且不超过 8192 字符",
        r"a part is not base64url": "令牌中有一段不是 base64url 编码",
        r"a part does not re-encode to itself": "令牌中有一段的 base64url 编码不规范（重新编码后与原文不同）",
        r"header member (\S+) is not allowed": r"令牌头部不允许出现成员 \1",
        r"header members alg and kid are texts": "令牌头部的 alg 与 kid 须为文本",
        r"(\S+) is not JSON, or names a member twice": r"令牌的 \1 段不是 JSON，或有成员重复出现",
        r"(\S+) is not a JSON object": r"令牌的 \1 段不是 JSON 对象",
        r"exp is (-?[0-9]+) s after iat; allowed are 1 to ([0-9]+) s": r"exp 比 iat 晚 \1 秒；允许 1 至 \2 秒",
        r"(\S+) is missing or not seconds since 1970": r"令牌缺少 \1，或其值不是自 1970 年起的秒数",
        r"([0-9]+) bytes for \S+, at most ([0-9]+)": r"消息有 \1 字节，最多 \2 字节",
        r"([a-z_]+): a time needs its zone, e\.g\. (\S+)": r"\1：时间须带时区，例如 \2",
        r"([a-z_]+): no time between 1970 and 9999 in milliseconds": r"\1：须为 1970 至 9999 年之间的毫秒数",
        r"reference: at most ([0-9]+) printable characters": r"reference：最多 \1 个可打印字符",
        r"a text holds half of a surrogate pair, which no receiver can show": "文本中有无法显示的半个代理字符",
        r"([0-9]+) bytes in one push": r"一次推送有 \1 字节，过大",
        r"([0-9]+) bytes of receipts": r"回执有 \1 字节，过大",
        r"receipts are a JSON array": "回执应为 JSON 数组",
        r"a receipt is not an object": "回执的每一项应为 JSON 对象",
        r"not a push: MsgType is missing": "不是消息推送：缺少 MsgType",
        r"not a message\.receipt with message_id and status": "应为 message.receipt，且带 message_id 与 status",
        r"status is one of (.+), replay_id a number": r"status 应为 \1 之一，replay_id 应为数字",
    }.items()
)


def chinese_for(english: str, otherwise: str) -> str:
    """The same in Chinese; `otherwise` where nobody has translated it."""
    for pattern, chinese in _SAID:
        found = pattern.fullmatch(english)
        if found is not None:
            return found.expand(chinese)
    return otherwise
