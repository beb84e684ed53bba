"""Topic, key, partition and token are judged as intake and the broker would."""

import pytest

from infra.tokens import mint
from producers import check_transport
from producers.check_transport import check_headers, check_key, check_partition, check_topic
from schemas.partitioner import partition_of
from tests.unit.producers.foreign import GOOD, NOW_MS, said

SECRET = b"a-secret-of-at-least-thirty-two-bytes"
SDK_KEY = bytes.fromhex("2342d3e885fd3547e0257e2bb425499d")


@pytest.mark.parametrize("topic", ["messages.normal", "t1.messages.urgent"])
def test_systems_write_messages(topic: str) -> None:
    """By lane, with or without the installation's namespace."""
    assert "ok" in said(list(check_topic(topic, topic.rpartition("messages")[0].rstrip("."))))


@pytest.mark.parametrize("topic", ["events.normal", "messages", "messages.high", "outcomes"])
def test_another_topic_is_refused(topic: str) -> None:
    """The others are medpost's own."""
    assert "error" in said(list(check_topic(topic, "")))


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (None, ["没有键"]),
        (b"", ["没有键"]),
        (SDK_KEY, ["与 SDK 所用的相同", "murmur2 = -5281916", "4 个分区时为 0"]),
        (bytes(range(200, 216)), ["ok 键: 16 字节"]),
        (bytes(range(200, 208)), ["有 8 字节"]),
        (b"13800001001", ["error 键", "11 位号码"]),
        (b"11010119900307123X", ["error 键", "18 位号码"]),
        (b"P0001", ["可读文本"]),
        (b"9d103cd3-c74c-8b7a-a4ed-fb32e660f239", ["UUID 文本", "16 个原始字节"]),
    ],
)
def test_a_key_says_nothing_about_anybody(key: bytes | None, words: list[str]) -> None:
    """Its form is judged, and its partition told; it is never shown."""
    text = said(list(check_key(key, GOOD, 4)))
    assert [word for word in words if word not in text] == []
    assert not key or not key.isascii() or key.decode() not in text


def test_a_record_in_another_partition_is_named() -> None:
    """Another partitioner than Kafka's default in Java."""
    right = partition_of(SDK_KEY, 12)
    assert list(check_partition(SDK_KEY, right, 12)) == []
    assert "murmur2_random" in said(list(check_partition(SDK_KEY, (right + 1) % 12, 12)))


def token(app_id: str = "lis", ago_s: int = 0) -> bytes:
    """A bearer header's value."""
    return b"Bearer " + mint(app_id, "lis-1", "HS256", SECRET, NOW_MS / 1000 - ago_s).encode()


def test_a_good_token_is_told_with_what_is_left_of_it() -> None:
    """And with its key's name, never with itself."""
    text = said(list(check_headers([("authorization", token()), ("traceparent", b"x")], GOOD, NOW_MS)))
    assert "密钥 lis-1" in text
    assert "300 秒" in text
    assert token().decode()[7:] not in text


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ([], "没有消息头"),
        ([("Authorization", token())], "区分大小写"),
        ([("authorization", token())] * 2, "两次"),
        ([("authorization", token()[7:])], "Bearer <JWT>"),
        ([("authorization", b"Bearer abc")], "token_malformed"),
        ([("authorization", b"Bearer \xff.\xff.\xff")], "token_malformed"),
        ([("authorization", token(ago_s=400))], "token_expired"),
        ([("authorization", token(ago_s=-95))], "token_not_yet_valid"),
        ([("authorization", token("his"))], "iss"),
    ],
)
def test_a_bad_token_is_named(headers: list[tuple[str, bytes]], word: str) -> None:
    """With the reason that intake would give."""
    text = said(list(check_headers(headers, GOOD, NOW_MS)))
    assert word in text
    assert text.startswith("error")


def test_every_refusal_of_a_token_has_its_words() -> None:
    """In Chinese, beside the reason."""
    assert all(check_transport.REFUSALS.values())
