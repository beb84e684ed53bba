"""Why a line, a file or an HL7 message was not published, and what its sender can do. Data only."""

from typing import Final

PHRASES: Final = {
    # HL7
    "{} counts {} {}, and {} came: not whole, or not counted right": (
        "{} 说有 {} 个 {}，实到 {} 个：不完整，或数得不对"
    ),
    "compare with the sender and send what is missing; what came is read, and a repeat is recognised": (
        "与发送方核对，补发缺少的；到了的已读入，重复的会认出"
    ),
    "undecodable bytes: {}, and the bytes are not that": "无法解码：{}，而字节并不是",
    "undecodable bytes: MSH-18 declares {}, and the bytes are not that": "无法解码：MSH-18 声明 {}，而字节并不是",
    "undecodable bytes: MSH-18 declares no charset that we know, and the bytes are not that": (
        "无法解码：MSH-18 没有声明可识别的字符集"
    ),
    "declare the charset in MSH-18 (UNICODE UTF-8 or GB 18030-2000) and send these bytes, or set --charset": (
        "在 MSH-18 中声明字符集（UNICODE UTF-8 或 GB 18030-2000）并照此编码，或给出 --charset"
    ),
    "undecodable bytes in an escape sequence \\X..\\": "转义序列 \\X..\\ 中有无法解码的字节",
    "undecodable bytes: the stream is not the UTF-16 that its byte order mark promises": (
        "无法解码：字节序标记说是 UTF-16，而内容不是"
    ),
    "escape them in the message's charset": "用消息的字符集转义",
    "send UTF-8 or GB18030": "请发 UTF-8 或 GB18030",
    "the text holds U+FFFD: characters were destroyed before the message came here": (
        "文本含 U+FFFD：到达之前已有字符被破坏"
    ),
    "the text holds U+FFFD: characters were destroyed before": "文本含 U+FFFD：到达之前已有字符被破坏",
    "mend the conversion in the sending system and send the message again": "改正发送系统的转码，再发一次",
    "mend the sending system": "改正发送系统",
    "no MSH segment at its beginning: this is no HL7 version 2 message": "开头没有 MSH 段：不是 HL7 v2 消息",
    "send whole messages; is the file cut, or of another format, or HL7 inside SOAP? Then send the inner text": (
        "请发完整的消息；文件是否被截断、是别的格式、或是 SOAP 里的 HL7？若是 SOAP，发里面的文本"
    ),
    "a line feed inside MSH: this source ends segments with LF": "MSH 中有换行：这个来源以 LF 结束各段",
    "leave --lf-is-text out for this source": "这个来源不要加 --lf-is-text",
    "more than {} bytes or {} segments in one message": "一条消息超过 {} 字节或 {} 段",
    "send fewer results in one message, or leave embedded documents out": "一条消息少放些结果，或不要嵌入文档",
    "MSH declares no field separator": "MSH 没有声明字段分隔符",
    "is the message cut?": "消息是否被截断？",
    "the encoding characters of MSH-2 contradict each other": "MSH-2 的编码字符自相矛盾",
    "send ^~\\&": "请用 ^~\\&",
    "{}-{} has more than {} repetitions": "{}-{} 的重复超过 {} 次",
    "send fewer repetitions in one field": "一个字段少放些重复",
    "MSH has more than {} characters": "MSH 超过 {} 个字符",
    "is the message damaged?": "消息是否损坏？",
    "MSH-{} ({}) is missing": "缺少 MSH-{}（{}）",
    "fill MSH-{} in the sending system": "在发送系统中填写 MSH-{}",
    "reading it failed ({})": "读取失败（{}）",
    "keep the file and report it: this is our fault": "保留文件并报告：这是程序缺陷",
    # JSON lines, requests
    "a line of more than {} bytes": "一行超过 {} 字节",
    "send shorter texts": "请缩短文本",
    "not UTF-8": "不是 UTF-8",
    "write JSON lines in UTF-8": "JSON 行请用 UTF-8",
    "not a JSON object on one line": "不是一行一个 JSON 对象",
    "write one JSON object a line": "一行写一个 JSON 对象",
    "correct the member that is named": "改正所指的成员",
    "Object missing required field `{}`": "缺少成员 `{}`",
    "Object missing required field `{}` - at `{}`": "`{1}` 中缺少成员 `{0}`",
    "Object contains unknown field `{}`": "未知成员 `{}`",
    "Object contains unknown field `{}` - at `{}`": "`{1}` 中有未知成员 `{0}`",
    "Expected `{}`, got `{}`": "须为 `{}`，而不是 `{}`",
    "Expected `{}`, got `{}` - at `{}`": "`{2}` 须为 `{0}`，而不是 `{1}`",
    "app_id: which application sends this?": "缺少 app_id：由哪个应用发送？",
    "add app_id, or --app": "补上 app_id，或给出 --app",
    "type: which message type shall it be?": "缺少 type：是哪种消息类型？",
    "recipient: id_type and id_value are both needed": "recipient：id_type 与 id_value 都要有",
    "priority: one of {}": "priority 须为 {} 之一",
    "reference: at most {} printable characters": "reference 至多 {} 个可打印字符",
    "a text holds half of a surrogate pair, which no receiver can show": "文本含半个代理对，谁也显示不了",
    "{}: no time between 1970 and 9999 in milliseconds": "{}：不是 1970 到 9999 年之间的毫秒数",
    "{}: a time needs its zone, e.g. 2026-01-05T14:30:00+08:00": ("{}：时间须带时区，例如 2026-01-05T14:30:00+08:00"),
    "delivery_timeout_s: at most {}": "delivery_timeout_s 至多 {}",
    "secret: an HS256 secret has at least {} bytes": "secret：HS256 的密钥至少 {} 字节",
    "this client is closed": "客户端已关闭",
    "make a new one": "请新建一个",
    # mappings
    "{}: nothing at {}": "{}：{} 处没有内容",
    "fill {} in the sending system, or correct the path or the table in the mapping": (
        "在发送系统中填写 {}，或改正映射中的路径或对照表"
    ),
    "{}: more than {} characters at {}": "{0}：{2} 处超过 {1} 个字符",
    "send a shorter text, or map another field": "请缩短文本，或映射别的字段",
    "more than {} requests from one message": "一条消息产生的请求超过 {} 个",
    "send fewer results in one message, or make the rule's `when` narrower": (
        "一条消息少放些结果，或收窄规则的 `when`"
    ),
    "no mapping {}: give the path of a YAML file, or one of {}": "没有映射 {}：给出 YAML 文件的路径，或用 {} 之一",
    "not valid YAML": "不是合法的 YAML",
    "not valid YAML: {}": "不是合法的 YAML：{}",
    "tables: {} is no name; write small letters, digits and _": "tables：{} 不能作名字；请用小写字母、数字和 _",
    "here belongs a table, `code: ours`, that is not empty": "这里须为对照表，写成 `代码: 我方用语`，不可为空",
    "recipient: exactly one, as `patient_id: PID-3.1`": "recipient：只能有一个，写成 `patient_id: PID-3.1`",
    "each: {} is no segment name; write OBR or OBX": "each：{} 不是段名；请写 OBR 或 OBX",
    "unknown member {}; allowed: {}": "未知成员 {}；可用：{}",
    "{}: missing": "缺少 {}",
    "here belongs a mapping, `name: value`": "这里须写成 `名: 值`",
    "{} is given twice": "{} 给了两次",
    "here belongs a list that is not empty": "这里须为列表，不可为空",
    "here belongs a text": "这里须为文本",
    "here belongs a text that is not empty": "这里须为文本，不可为空",
    "{} is no path: write SEG-field.component, e.g. OBR-4.2, or 'text'": (
        "{} 不是路径：写成 段-字段.成分，例如 OBR-4.2，或者 '文本'"
    ),
    "format {} is unknown: use {}": "没有格式 {}：请用 {}",
    "table {} is unknown: the file has {} under `tables`": "没有对照表 {}：文件的 `tables` 下有 {}",
    # keys and files of the sender
    "no key of application {} is at hand": "没有应用 {} 的密钥",
    "register the application, or give --credentials FILE": "登记这个应用，或给出 --credentials FILE",
    "cannot be read: {}": "读不出：{}",
    "make the file readable": "使文件可读",
    # waiting for the broker
    "the queue stayed full": "待发布的队列一直是满的",
    "the client was closed before the answer": "应答之前客户端已关闭",
    "{}; try again under message_id {}": "{}；请以 message_id {} 重试",
    "{} messages are not acknowledged; try again under their ids": "{} 条消息未得到确认；请以各自的编号重试",
    "the broker did not acknowledge ({})": "broker 没有确认（{}）",
    "the broker stopped acknowledging": "broker 不再确认",
    "mend it, then publish the same input again: repeats are recognised": (
        "修好之后把同样的输入再发布一遍：重复的会认出"
    ),
    "publish the same input again: what arrived is recognised": "把同样的输入再发布一遍：到了的会认出",
    "the gateway did not answer": "HTTP 接口没有应答",
    "the gateway answered {}": "HTTP 接口应答 {}",
}
