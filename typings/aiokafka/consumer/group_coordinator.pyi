from typing import Any

class GroupCoordinator:
    ensure_active_group: Any
