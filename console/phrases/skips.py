"""Why a channel is skipped or was not called, as intake and sinks say it in the trace, and in Chinese. Data only."""

from typing import Final

PHRASES: Final = {
    "the sender chose other channels": "发送方未选此渠道",
    "the application may not use this channel": "应用无权使用此渠道",
    "the key is for tests, and this channel leads outside": "令牌用的是测试密钥，而此渠道通往院外",
    "the channel is not registered": "渠道未登记",
    "the channel is disabled in this installation": "本院已停用此渠道",
    "the message type has no template for this channel": "该类型没有此渠道的模板",
    "the recipient has no address in this channel": "接收人没有此渠道的地址",
    "the address is registered as opted out": "此地址登记为已退订",
    "the address is registered as invalid": "此地址登记为无效",
    "the address is registered as one that is not to be used": "此地址登记为不可用",
    "the address is too long, or holds control characters": "此地址过长，或含有控制字符",
    "no provider of this channel is open: disabled, or wrongly set (see the log of sinks)": (
        "此渠道没有可用的服务商：已停用，或设置有误（见 sinks 的日志）"
    ),
}
