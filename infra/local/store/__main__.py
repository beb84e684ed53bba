"""`python -m infra.local.store --path DIR --port N`: the embedded store as a program of its own.

Started by the supervisor and the test fixtures. Ends with 0 on SIGTERM after running requests have been answered,
with 3 and one line when the folder is in use or the port taken.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from aiohttp import web

from infra.analyst import Account, ensure_account
from infra.local.ports import LOOPBACK
from infra.local.store.engine import EngineError
from infra.local.store.front import Front, application
from schemas.errors import UnavailableError

STOP_GRACE_S: Final = 10.0
"""How long running requests may take to end after SIGTERM."""


def main() -> None:
    """Serves until SIGTERM."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--path", type=Path, required=True, help="folder of the store")
    arguments.add_argument("--port", type=int, required=True, help="port on the loopback")
    arguments.add_argument("--analyst", type=Path, help="file with the analyst's account, made when there is none")
    asked = arguments.parse_args()
    try:
        serve(asked.path, asked.port, asked.analyst)
    except UnavailableError as problem:
        sys.stderr.write(f"{problem.detail}; {problem.remedy}\n")
        sys.exit(3)
    sys.stdout.flush()
    os._exit(0)  # an engine call that would not end must not keep us: the data are safe at any point


def serve(path: Path, port: int, analyst: Path | None = None) -> None:
    """Opens the engine and serves; raises UnavailableError when folder or port are in use."""
    front = opened(path, ensure_account(analyst) if analyst is not None else None)
    try:
        web.run_app(application(front), host=LOOPBACK, port=port, print=None, shutdown_timeout=STOP_GRACE_S)
    except OSError as problem:
        front.close()
        raise UnavailableError(f"port {port} on {LOOPBACK}: {problem.strerror}", "stop what listens there") from None


def opened(path: Path, account: Account | None = None) -> Front:
    """The engine on that folder, which is made when new; raises UnavailableError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise UnavailableError(f"cannot make the folder {path}: {problem.strerror}", "make it writable") from None
    try:
        return Front(path, account)
    except EngineError as problem:
        raise UnavailableError(
            f"cannot open the store in {path}: {problem}",
            f"end the program that has it open ({owner(path)})",
        ) from None


def owner(path: Path) -> str:
    """Who says it has the folder open, from the engine's status file."""
    try:
        lines = (path / "status").read_text("utf-8").splitlines()
    except OSError:
        return "unknown"
    return next((line for line in lines if line.startswith("PID")), "unknown")


if __name__ == "__main__":
    main()
