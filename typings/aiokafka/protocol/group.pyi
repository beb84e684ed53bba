from typing import Any

class HeartbeatRequest:
    def __init__(self, *fields: Any) -> None: ...

class SyncGroupRequest:
    def __init__(self, *fields: Any) -> None: ...

class LeaveGroupRequest:
    def __init__(self, *fields: Any) -> None: ...
