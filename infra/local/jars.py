"""Apache Kafka's jars: fetched once per user and pom from Maven's configured repository, then only checked.

A folder of jars is complete when every file its manifest lists is there with its size; anything else is fetched
again into a folder of its own, which is renamed in one step. Called by the broker, tests and `medpost doctor`.
Never names a repository host: Maven's own settings say where jars come from.
"""

import fcntl
import hashlib
import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from infra.local.java import require_maven
from schemas.errors import UnavailableError

POM: Final = Path(__file__).with_name("pom.xml")
MANIFEST: Final = "manifest.json"
FETCH_TIMEOUT_S: Final = 540
_VERSION: Final = re.compile(r"<kafka\.version>([^<]+)</kafka\.version>")


def kafka_version() -> str:
    """The Kafka version the pom pins."""
    return str(_VERSION.findall(POM.read_text("utf-8"))[0])


def jar_folder(cache: Path | None = None) -> Path:
    """Where this pom's jars lie: under `cache`, by default the user's, so that many homes share one fetch."""
    digest = hashlib.sha256(POM.read_bytes()).hexdigest()[:8]
    return (cache or Path.home() / ".cache" / "medpost") / f"kafka-{kafka_version()}-{digest}"


def is_complete(folder: Path) -> bool:
    """Whether every jar of the manifest is there with the size it had when it was fetched."""
    try:
        sizes: dict[str, int] = json.loads((folder / MANIFEST).read_text("utf-8"))
        return bool(sizes) and all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


def ensure_jars(cache: Path | None = None) -> Path:
    """The folder of complete jars, fetching them when needed (some 45 files, 44 MB, once).

    Raises UnavailableError when Maven is missing or fails, or the cache cannot be written.
    """
    folder = jar_folder(cache)
    if is_complete(folder):
        return folder
    maven = require_maven()
    try:
        with _one_at_a_time(folder):
            if not is_complete(folder):
                _fetch(maven, folder)
    except OSError as problem:
        raise UnavailableError(
            f"cannot write the jars to {folder}: {problem}", "make that folder writable"
        ) from problem
    return folder


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Holds the cache's lock file, so that two starting homes fetch once; freed by the system if we are killed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(folder.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(maven: str, folder: Path) -> None:
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    _run_maven(maven, part)
    sizes = {jar.name: jar.stat().st_size for jar in sorted(part.glob("*.jar")) if zipfile.is_zipfile(jar)}
    if f"kafka_2.13-{kafka_version()}.jar" not in sizes:
        raise UnavailableError("Maven ended well but fetched no Kafka jar", f"try `mvn -f {POM} dependency:resolve`")
    (part / MANIFEST).write_text(json.dumps(sizes, indent=1), "utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


def _run_maven(maven: str, output: Path) -> None:
    command = [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    try:
        done = subprocess.run(  # noqa: S603 - the path comes from which(), the rest is ours
            [*command, f"-DoutputDirectory={output}"],
            capture_output=True,
            text=True,
            timeout=FETCH_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as problem:
        raise UnavailableError(
            f"Maven took longer than {FETCH_TIMEOUT_S} s", "check the network and try again"
        ) from problem
    if done.returncode != 0:
        raise UnavailableError(
            f"Maven could not fetch Kafka: {first_error(done.stdout + done.stderr)}",
            f"check the network or Maven's settings, then try `mvn -f {POM} dependency:resolve`",
        )


def first_error(output: str) -> str:
    """The first line Maven marks as an error, shortened; its last line when it marks none."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    marked = [line.removeprefix("[ERROR]").strip() for line in lines if line.startswith("[ERROR]")]
    return ((marked or lines[-1:] or ["it said nothing"])[0])[:300]
