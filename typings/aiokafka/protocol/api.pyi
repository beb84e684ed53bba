from typing import Any, ClassVar, Generic, TypeVar

from aiokafka.protocol.types import Schema

T = TypeVar("T", bound="RequestStruct")

class Response:
    API_KEY: ClassVar[int]
    API_VERSION: ClassVar[int]
    SCHEMA: ClassVar[Schema]
    def encode(self) -> bytes: ...
    @classmethod
    def decode(cls, data: Any) -> Any: ...
    def __init__(self, *fields: Any) -> None: ...

class RequestStruct:
    API_KEY: ClassVar[int]
    API_VERSION: ClassVar[int]
    RESPONSE_TYPE: ClassVar[type[Response]]
    SCHEMA: ClassVar[Schema]
    def __init__(self, *fields: Any) -> None: ...
    def encode(self) -> bytes: ...

class Request(Generic[T]):
    API_KEY: ClassVar[int]
    def build(self, request_struct_class: type[T]) -> T: ...
    def prepare(self, versions: dict[int, tuple[int, int]]) -> T: ...
