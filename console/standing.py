"""How a message stands, for the commands: the words are `infra.standing`'s, which the HTTP gateway shares.

Called by `medpost messages` and the sample run. Decides nothing itself.
"""

from infra.standing import Standing, in_order, standing

__all__ = ["Standing", "in_order", "standing"]
