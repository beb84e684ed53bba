"""Which Java is new enough, and what is said when none is."""

import pytest

from infra.local import java
from schemas.errors import UnavailableError


@pytest.mark.parametrize(
    ("banner", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_392"', 8),
        ('openjdk version "21" 2023-09-19', 21),
        ("bash: java: command not found", 0),
    ],
)
def test_reads_the_major_version(banner: str, major: int) -> None:
    """Old and new numbering give the major version, other text gives 0."""
    assert java.java_major(banner) == major


def test_missing_java_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Java on the PATH the error says what to install."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UnavailableError) as caught:
        java.require_java()
    assert "PATH" in caught.value.detail
    assert "openjdk" in caught.value.remedy


def test_old_java_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Java before 17 is refused with both numbers."""
    monkeypatch.setattr(java, "_banner", lambda _: 'openjdk version "11.0.2"')
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/java")
    with pytest.raises(UnavailableError, match=r"version 11, the broker needs 17"):
        java.require_java()


def test_missing_maven_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Maven on the PATH the error says what to install."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UnavailableError) as caught:
        java.require_maven()
    assert "maven" in caught.value.remedy
