from datetime import datetime

class Message:
    def extract_field(
        self,
        segment: str,
        segment_num: int = ...,
        field_num: int = ...,
        repeat_num: int = ...,
        component_num: int = ...,
        subcomponent_num: int = ...,
    ) -> str: ...

def parse(lines: str) -> Message: ...
def parse_datetime(value: str) -> datetime: ...
