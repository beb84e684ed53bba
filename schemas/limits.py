"""Limits and forms that rooms which never meet must agree on: who sends, who decides, who delivers, who checks.

Read by producers, streams, sinks and the registry's forms. What only one room has to know stands in that room.
"""

import re
from typing import Final

from schemas.topics import DAY_MS

NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
"""What an application, a type or a channel may be called."""
REFERENCE_CHARS: Final = 256
"""A sender's own id of a message is no longer than this, and printable."""
MAX_AHEAD_MS: Final = 400 * DAY_MS
"""Nothing is scheduled for later than so long after its acceptance."""
CLAIM_MARGIN_MS: Final = 2_000
"""Nothing is issued or claimed later than so long before the message expires."""
