"""Whatever bytes somebody hands in, the answer is findings: never a traceback, and soon."""

import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.check_record import MAX_BYTES, Submitted, check
from producers.findings import Level
from schemas.codec import HEAD_BYTES, MESSAGE
from schemas.errors import Permanent
from tests.unit.producers.foreign import FIELDS, GOOD, HEAD, NOW_MS, RAW, said

HOSTILE = {
    "varints without end": HEAD + b"\x80" * 300_000,
    "a map of many": HEAD + b"\x00\x00\x00\x00" + b"\xfe\xff\xff\xff\x0f" + b"\x00" * 300_000,
    "nothing but zeros": HEAD + bytes(300_000),
    "brackets": b"[" * 300_000,
    "braces": b'{"a":' * 100_000,
    "a body too long to try": RAW[:-1] * 3_000,
    "a huge number": b'{"created_at":' + b"9" * 4_000 + b"}",
    "half a pair": b'{"reference":"\\ud800","app_id":"lis"}',
    "one byte": b"\x00",
}


def test_a_good_record_passes_with_everything_told() -> None:
    """Topic, key and partition are looked at when they are told."""
    checked = check(Submitted(RAW, "messages.normal", bytes(range(200, 216)), partition=0, partitions=1), NOW_MS)
    assert {one.level for one in checked.findings} == {Level.OK}
    assert checked.message == GOOD


def test_json_is_told_all_that_is_wrong_with_it() -> None:
    """Not only that it is JSON."""
    told = {**FIELDS, "created_at": NOW_MS // 1000}
    text = said(check(Submitted(msgspec.json.encode(told)), NOW_MS).findings)
    assert "JSON 文本" in text
    assert "看来是秒" in text


def test_a_letter_is_lost_only_where_the_sender_lost_it() -> None:
    """Bytes of another character set become U+FFFD in our reading alone: that is no fault of theirs."""
    as_gbk = "血常规检"[:4].encode("gbk") + b"."
    text = said(check(Submitted(RAW.replace("血常规".encode(), as_gbk)), NOW_MS).findings)
    assert ("看来是 GBK" in text, "U+FFFD" in text) == (True, False)
    lost = said(check(Submitted(RAW.replace("血常规".encode(), "\ufffd常规".encode())), NOW_MS).findings)
    assert ("UTF-8" in lost, "U+FFFD" in lost) == (False, True)


def test_several_faults_are_told_at_once() -> None:
    """Envelope, key and token in one go."""
    text = said(check(Submitted(b"\0\0\0\0\1" + RAW[10:], "x", b"13800001001", ()), NOW_MS).findings)
    assert [word for word in ("Confluent", "主题", "11 位号码", "令牌") if word not in text] == []


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_answered_soon(name: str) -> None:
    """Bounded time: 300 kB of malice in under two seconds of this process's own time."""
    began = time.process_time()
    checked = check(Submitted(HOSTILE[name]), NOW_MS)
    assert any(one.level is Level.ERROR for one in checked.findings)
    assert time.process_time() - began < 2


def test_too_much_is_not_looked_at() -> None:
    """Kafka would not take it."""
    assert "超过" in said(check(Submitted(RAW + bytes(MAX_BYTES)), NOW_MS).findings)


@settings(max_examples=120, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=200).map(lambda body: HEAD + body),
        st.tuples(st.integers(HEAD_BYTES, len(RAW) - 1), st.binary(max_size=4), st.integers(0, 6)).map(
            lambda cut: RAW[: cut[0]] + cut[1] + RAW[cut[0] + cut[2] :]
        ),
        st.text(max_size=80).map(lambda text: b'{"reference":' + msgspec.json.encode(text) + b"}"),
    ),
    st.one_of(st.none(), st.binary(max_size=40)),
    st.one_of(st.none(), st.lists(st.tuples(st.just("authorization"), st.binary(max_size=60)), max_size=2)),
)
def test_no_bytes_raise_and_the_verdict_is_the_reader_s(
    raw: bytes, key: bytes | None, headers: list[tuple[str, bytes]] | None
) -> None:
    """A record is handed on exactly when intake could read it, and else there is an error that says why."""
    checked = check(Submitted(raw, "", key, None if headers is None else tuple(headers)), NOW_MS)
    try:
        assert checked.message == MESSAGE.decode(raw)
    except Permanent:
        assert checked.message is None
        assert any(one.level is Level.ERROR for one in checked.findings)
