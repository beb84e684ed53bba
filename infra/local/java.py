"""Finds the Java and Maven that the embedded broker needs, and says in one line what is missing.

Called by the broker, the jar cache and `medpost doctor`. Never installs anything.
"""

import re
import shutil
import subprocess
from typing import Final

from schemas.errors import UnavailableError

OLDEST_JAVA: Final = 17
"""Apache Kafka 4 brokers run on Java 17 or newer (its upgrade notes, 4.0)."""

_VERSION: Final = re.compile(r'version "(?:1\.)?(\d+)')
_JAVA_REMEDY: Final = f"install a Java runtime >= {OLDEST_JAVA} (Debian: apt-get install openjdk-17-jre-headless)"
_MAVEN_REMEDY: Final = "install Apache Maven (Debian: apt-get install maven); it is needed once, to fetch Kafka"


def java_major(banner: str) -> int:
    """The major version in what `java -version` prints (`1.8.0` is 8); 0 when there is none."""
    found = _VERSION.search(banner)
    return int(found.group(1)) if found else 0


def require_java() -> str:
    """Path of a Java that is new enough; raises UnavailableError when there is none."""
    path = shutil.which("java")
    if path is None:
        raise UnavailableError("java is not on the PATH", _JAVA_REMEDY)
    major = java_major(_banner(path))
    if major < OLDEST_JAVA:
        raise UnavailableError(f"{path} is version {major or 'unknown'}, the broker needs {OLDEST_JAVA}", _JAVA_REMEDY)
    return path


def require_maven() -> str:
    """Path of Maven; raises UnavailableError when there is none."""
    path = shutil.which("mvn")
    if path is None:
        raise UnavailableError("mvn (Maven) is not on the PATH", _MAVEN_REMEDY)
    return path


def _banner(java: str) -> str:
    try:
        shown = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603 - the path comes from which()
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise UnavailableError(f"{java} -version does not run: {problem}", _JAVA_REMEDY) from problem
    return shown.stderr + shown.stdout
