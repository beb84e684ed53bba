"""The engine step all peers do: decode a 198-byte Avro record, change one field, encode it again.

Needs fastavro alone. Every program in the folders beside it is run as
`python program.py BOOTSTRAP SOURCE TARGET SECONDS` by `tests/bench/case_step.py` in a virtual environment of its own,
reads SOURCE from its beginning, writes TARGET keyed with acks=all, and prints one JSON line.
"""

import importlib.metadata
import io
import json
import platform
import sys
import time

import fastavro

TEXTS = ("app", "kind", "lane", "channel", "status", "reason", "provider", "code")
SCHEMA = fastavro.parse_schema(
    {
        "type": "record",
        "name": "Step",
        "fields": [
            {"name": "message_id", "type": "string"},
            {"name": "at", "type": "long"},
            {"name": "attempt", "type": "int"},
            {"name": "is_final", "type": "boolean"},
            *({"name": name, "type": "string"} for name in TEXTS),
        ],
    }
)
RECORD_BYTES = 198
_read, _write, _BytesIO = fastavro.schemaless_reader, fastavro.schemaless_writer, io.BytesIO


def sample(number):
    """The value of record `number`, always 198 bytes."""
    texts = {name: (name + "-") * 3 for name in TEXTS}
    record = {"message_id": f"{number:036d}", "at": 1_700_000_000_000 + number, "attempt": 1, "is_final": False, **texts}
    record["code"] = ""
    out = _BytesIO()
    _write(out, SCHEMA, record)
    record["code"] = "x" * (RECORD_BYTES - len(out.getvalue()))
    out = _BytesIO()
    _write(out, SCHEMA, record)
    return out.getvalue()


def step(raw):
    """Key and value of the record that follows from `raw`."""
    record = _read(_BytesIO(raw), SCHEMA, None)
    record["attempt"] += 1
    out = _BytesIO()
    _write(out, SCHEMA, record)
    return record["message_id"].encode(), out.getvalue()


def arguments():
    """Bootstrap, source topic, target topic, seconds."""
    bootstrap, source, target, seconds = sys.argv[1:5]
    return bootstrap, source, target, float(seconds)


class Clock:
    """Counts records from the first delivered one on."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.count = 0
        self.started = 0.0
        self.cpu = 0.0

    def begin(self):
        """The first record has come."""
        if not self.started:
            self.started, self.cpu = time.perf_counter(), time.process_time()

    def is_over(self):
        """The time is used up."""
        return bool(self.started) and time.perf_counter() - self.started >= self.seconds

    def report(self, *packages):
        """The one line that the bench reads."""
        took_s, cpu_s = time.perf_counter() - self.started, time.process_time() - self.cpu
        versions = {name: importlib.metadata.version(name) for name in (*packages, "fastavro")}
        versions["python"] = platform.python_version()
        line = {"count": self.count, "seconds": took_s, "cpu_us": 1e6 * cpu_s / max(1, self.count), "versions": versions}
        print(json.dumps(line), file=sys.__stdout__, flush=True)
