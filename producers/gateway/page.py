"""The page /v1/docs: reads the OpenAPI document beside it and lets one try every operation, all from here.

Made once at start. Its policy allows exactly the script and the style that stand in it.
"""

import base64
import hashlib
from pathlib import Path
from typing import Final

_SOURCE: Final = Path(__file__).with_name("page.html")


def page() -> bytes:
    """The page."""
    return _SOURCE.read_bytes()


def _allowed(tag: str) -> str:
    _, _, after = page().decode().partition(f"<{tag}>")
    text, _, _ = after.partition(f"</{tag}>")
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


POLICY: Final = (
    f"default-src 'none'; connect-src 'self'; script-src {_allowed('script')}; style-src {_allowed('style')}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
