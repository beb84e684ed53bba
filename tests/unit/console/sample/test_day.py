from console.sample.day.__main__ import EVENTS, FILES, main
from producers import jsonl


def test_the_files_are_what_is_made() -> None:
    """Nobody edited a file of the sample day by hand, added one, or forgot to write it anew."""
    assert {str(path.relative_to(EVENTS)) for path in EVENTS.rglob("*") if path.is_file()} == set(FILES)
    assert all((EVENTS / name).read_bytes() == make() for name, make in FILES.items())


def test_the_day_has_both_charsets_and_every_framing() -> None:
    """GB18030 with separators inside characters, a four-byte name, a byte order mark, MLLP, a batch, all line ends."""
    raw = b"".join(make() for name, make in FILES.items() if name.endswith(".hl7"))
    hidden = ("璣".encode("gb18030"), "𬱖".encode("gb18030"))
    for wanted in (*hidden, b"\xef\xbb\xbfMSH", b"\x1c\r\x0bMSH", b"BTS|51", b"\r\nPID"):
        assert wanted in raw


def test_references_are_distinct() -> None:
    """No line of the day is another line's repeat."""
    lines = [line for name, make in FILES.items() if name.endswith(".jsonl") for line in make().splitlines()]
    references = [reading.request.reference for reading in jsonl.read(lines) if reading.request]
    assert len(references) == len(set(references)) == 127


def test_writing_anew_changes_nothing() -> None:
    """The program writes what lies there already."""
    before = {name: (EVENTS / name).read_bytes() for name in FILES}
    main()
    assert before == {name: (EVENTS / name).read_bytes() for name in FILES}
