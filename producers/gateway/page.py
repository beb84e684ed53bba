"""The page /v1/docs: reads the OpenAPI document beside it and lets one try every operation, all from here.

Made once at start. Its policy allows exactly the script and the style that stand in it.
"""

from pathlib import Path
from typing import Final

from infra.page import policy_of

_SOURCE: Final = Path(__file__).with_name("page.html")


def page() -> bytes:
    """The page."""
    return _SOURCE.read_bytes()


POLICY: Final = policy_of(page().decode())
