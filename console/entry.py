"""The `medpost` command as it is installed: says what is missing where only a client was installed.

Called by the script that pip writes. Whoever installs `medpost` alone, or with `[kafka]` or `[aio]`, has the clients
but not what the command runs on. Loads nothing heavy itself, and shows no traceback for a package that is not there.
"""

import sys
from typing import Final

OWN: Final = frozenset({"console", "infra", "producers", "schemas", "sinks", "streams"})
EXIT_MISSING: Final = 3


def main() -> None:
    """Run the command line; leaves through sys.exit, with 3 where a package that it runs on is not installed."""
    try:
        from console.cli.main import main as run
    except ModuleNotFoundError as missing:
        name = (missing.name or "").partition(".")[0]
        if name in OWN:
            raise
        sys.stderr.write(
            f"✗ 这里只安装了客户端，缺少 {name} · only a client is installed here: {name} is missing\n"
            "  → pip install 'medpost[platform]'\n"
        )
        sys.exit(EXIT_MISSING)
    run()
