"""What a browser is told to allow a page that stands in one file."""

import base64
import hashlib

from infra.page import policy_of


def digest(text: str) -> str:
    """As RFC and browsers write it."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_exactly_the_page_s_own_script_and_style_are_allowed() -> None:
    """By the digest of what stands between the tags; everything else is forbidden."""
    policy = policy_of(
        "<title>页</title><style>a{}</style><p><script>\nlet 字 = 1;\n</script></p><script>evil()</script>"
    )
    told = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert told == {
        "default-src": "'none'",
        "connect-src": "'self'",
        "script-src": f"'sha256-{digest(chr(10) + 'let 字 = 1;' + chr(10))}'",
        "style-src": f"'sha256-{digest('a{}')}'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
