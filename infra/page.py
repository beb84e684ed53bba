"""Pages that stand in one file, with nothing from elsewhere: what a browser is told to allow them.

Called by whoever serves such a page (the gateway's trial page, the simulated phone). Pure: text in, header out.
"""

import base64
import hashlib


def policy_of(page: str) -> str:
    """Content-Security-Policy that allows the one script and the one style standing in the page, and calls home."""
    return (
        f"default-src 'none'; connect-src 'self'; script-src {_digest(page, 'script')}; "
        f"style-src {_digest(page, 'style')}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _digest(page: str, tag: str) -> str:
    """The text between the page's first such tags, as the policy names it (CSP level 2: hash-source)."""
    _, _, after = page.partition(f"<{tag}>")
    text, _, _ = after.partition(f"</{tag}>")
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
