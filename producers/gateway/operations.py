"""Every operation of the gateway as data: path, body, answers. The routes and the OpenAPI document are both made of it.

Read by `app` and `openapi`. An answer that is not listed here is a bug, and a test drives the running gateway to
find it.
"""

from typing import Any, Final

from msgspec import Struct

from producers.gateway.models import (
    Accepted,
    Backlog,
    BatchAccepted,
    BatchBody,
    CancelBody,
    Cancelled,
    EventList,
    Health,
    MessageBody,
    MessageView,
    Problems,
    Token,
    TokenBody,
)

JSON: Final = "application/json"
TEXT: Final = "text/plain"
XML: Final = "text/xml"
REFUSALS: Final = (400, 405, 408, 413, 415, 429, 500, 503)
OF_CALLERS: Final = (401, 403)


class Named(Struct, frozen=True):
    """A parameter of path or query."""

    name: str
    place: str
    told: str
    is_required: bool = True


class Operation(Struct, frozen=True, kw_only=True):
    """One operation. `answers`: shapes by status; `refusals`: statuses that come with problems.

    `media` are the kinds in which answers come, and in which a body may: anything but JSON is text to the document.
    """

    name: str
    method: str
    path: str
    summary: tuple[str, str]
    answers: dict[int, Any]
    refusals: tuple[int, ...] = REFUSALS
    body: Any = None
    is_body_needed: bool = True
    parameters: tuple[Named, ...] = ()
    wants_token: bool = True
    media: tuple[str, ...] = (JSON,)
    body_media: tuple[str, ...] = (JSON,)
    margin_s: float = 0.0
    """How much longer a token has to live than the request's arrival."""


_MESSAGE_ID: Final = Named("message_id", "path", "the id that was answered when the message was taken")
_PROVIDER: Final = Named("provider", "path", "the provider's name in the registry")
_OF_ONE: Final = (*REFUSALS, *OF_CALLERS, 404)
_OF_RECEIPTS: Final = (*REFUSALS, 403, 404)

OPERATIONS: Final = (
    Operation(
        name="give_token",
        method="POST",
        path="/v1/token",
        summary=("以应用标识与密钥换取令牌", "a bearer token for an application's credentials"),
        answers={200: Token},
        refusals=(*REFUSALS, *OF_CALLERS),
        body=TokenBody,
        wants_token=False,
    ),
    Operation(
        name="take_message",
        method="POST",
        path="/v1/messages",
        summary=("发送一条消息", "send one message"),
        answers={202: Accepted},
        refusals=(*REFUSALS, *OF_CALLERS, 409),
        body=MessageBody,
        margin_s=6.0,
    ),
    Operation(
        name="take_batch",
        method="POST",
        path="/v1/message-batches",
        summary=("一次发送至多 40,000 条", "send up to 40,000 messages at once"),
        answers={202: BatchAccepted},
        refusals=(*REFUSALS, *OF_CALLERS, 409),
        body=BatchBody,
        margin_s=20.0,
    ),
    Operation(
        name="message_by_reference",
        method="GET",
        path="/v1/messages",
        summary=("按引用号查询消息状态", "how a message stands, by your own reference"),
        answers={200: MessageView, 202: Accepted},
        refusals=_OF_ONE,
        parameters=(Named("reference", "query", "your own id of the message"),),
    ),
    Operation(
        name="message",
        method="GET",
        path="/v1/messages/{message_id}",
        summary=("查询消息状态", "how a message stands"),
        answers={200: MessageView, 202: Accepted},
        refusals=_OF_ONE,
        parameters=(_MESSAGE_ID,),
    ),
    Operation(
        name="message_events",
        method="GET",
        path="/v1/messages/{message_id}/events",
        summary=("查询消息轨迹", "everything that happened to a message"),
        answers={200: EventList, 202: EventList},
        refusals=_OF_ONE,
        parameters=(_MESSAGE_ID,),
    ),
    Operation(
        name="cancel_message",
        method="POST",
        path="/v1/messages/{message_id}/cancel",
        summary=("撤回尚未发出的消息", "stop a message that has not gone out"),
        answers={200: Cancelled, 202: Cancelled},
        refusals=(*_OF_ONE, 409),
        body=CancelBody,
        is_body_needed=False,
        parameters=(_MESSAGE_ID,),
    ),
    Operation(
        name="backlog",
        method="GET",
        path="/v1/apps/{app_id}/backlog",
        summary=("本应用的积压", "your open messages, by lane and channel"),
        answers={200: Backlog},
        refusals=_OF_ONE,
        parameters=(Named("app_id", "path", "your own application"),),
    ),
    Operation(
        name="take_receipts",
        method="POST",
        path="/v1/receipts/{provider}",
        summary=("供应商回执（有签名）", "what a provider that signs reports about messages"),
        answers={200: dict[str, Any]},
        refusals=_OF_RECEIPTS,
        body=dict[str, Any],
        parameters=(_PROVIDER,),
        wants_token=False,
        media=(JSON, TEXT),
        body_media=(JSON, XML),
    ),
    Operation(
        name="check_receipts",
        method="GET",
        path="/v1/receipts/{provider}",
        summary=("供应商校验推送地址（微信）", "a provider tries the address before it pushes there (WeChat)"),
        answers={200: str},
        refusals=_OF_RECEIPTS,
        parameters=(
            _PROVIDER,
            Named("signature", "query", "SHA-1 over the sorted push token, timestamp and nonce, as hex"),
            Named("timestamp", "query", "seconds since 1970, at most 5 minutes away"),
            Named("nonce", "query", "what the provider drew"),
            Named("echostr", "query", "what is answered"),
        ),
        wants_token=False,
        media=(TEXT,),
    ),
    Operation(
        name="take_receipts_there",
        method="POST",
        path="/v1/receipts/{provider}/{token}",
        summary=("供应商回执（无签名，以秘密路径为凭）", "the same, of a provider that was told a secret path"),
        answers={200: dict[str, Any]},
        refusals=_OF_RECEIPTS,
        body=list[dict[str, Any]],
        parameters=(_PROVIDER, Named("token", "path", "the secret part of the path")),
        wants_token=False,
    ),
    Operation(
        name="live",
        method="GET",
        path="/live",
        summary=("进程是否存活", "whether the gateway lives"),
        answers={200: Health, 503: Health},
        refusals=(405,),
        wants_token=False,
    ),
    Operation(
        name="ready",
        method="GET",
        path="/ready",
        summary=("是否可以受理", "whether the gateway can take messages"),
        answers={200: Health, 503: Health},
        refusals=(405,),
        wants_token=False,
    ),
)

PROBLEMS: Final = Problems
"""The shape of every refusal."""
