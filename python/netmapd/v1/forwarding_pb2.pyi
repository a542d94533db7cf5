from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AddAddressRequest(_message.Message):
    __slots__ = ["mac", "port", "switch"]
    MAC_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    SWITCH_FIELD_NUMBER: _ClassVar[int]
    mac: str
    port: str
    switch: str
    def __init__(self, switch: _Optional[str] = ..., mac: _Optional[str] = ..., port: _Optional[str] = ...) -> None: ...

class AddAddressResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class Address(_message.Message):
    __slots__ = ["age", "mac", "port", "static"]
    AGE_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    STATIC_FIELD_NUMBER: _ClassVar[int]
    age: _duration_pb2.Duration
    mac: str
    port: str
    static: bool
    def __init__(self, mac: _Optional[str] = ..., port: _Optional[str] = ..., static: bool = ..., age: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class DeleteAddressRequest(_message.Message):
    __slots__ = ["mac", "switch"]
    MAC_FIELD_NUMBER: _ClassVar[int]
    SWITCH_FIELD_NUMBER: _ClassVar[int]
    mac: str
    switch: str
    def __init__(self, switch: _Optional[str] = ..., mac: _Optional[str] = ...) -> None: ...

class DeleteAddressResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class FlushAddressesRequest(_message.Message):
    __slots__ = ["port", "switch"]
    PORT_FIELD_NUMBER: _ClassVar[int]
    SWITCH_FIELD_NUMBER: _ClassVar[int]
    port: str
    switch: str
    def __init__(self, switch: _Optional[str] = ..., port: _Optional[str] = ...) -> None: ...

class FlushAddressesResponse(_message.Message):
    __slots__ = ["flushed"]
    FLUSHED_FIELD_NUMBER: _ClassVar[int]
    flushed: int
    def __init__(self, flushed: _Optional[int] = ...) -> None: ...

class ForwardingTable(_message.Message):
    __slots__ = ["ageing", "displaced", "evicted", "limit", "size", "static", "used"]
    AGEING_FIELD_NUMBER: _ClassVar[int]
    DISPLACED_FIELD_NUMBER: _ClassVar[int]
    EVICTED_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    STATIC_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    ageing: _duration_pb2.Duration
    displaced: int
    evicted: int
    limit: int
    size: int
    static: int
    used: int
    def __init__(self, size: _Optional[int] = ..., limit: _Optional[int] = ..., used: _Optional[int] = ..., static: _Optional[int] = ..., displaced: _Optional[int] = ..., evicted: _Optional[int] = ..., ageing: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ListAddressesRequest(_message.Message):
    __slots__ = ["page_size", "page_token", "port", "switch"]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    SWITCH_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    port: str
    switch: str
    def __init__(self, switch: _Optional[str] = ..., port: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListAddressesResponse(_message.Message):
    __slots__ = ["addresses", "next_page_token", "table"]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    addresses: _containers.RepeatedCompositeFieldContainer[Address]
    next_page_token: str
    table: ForwardingTable
    def __init__(self, addresses: _Optional[_Iterable[_Union[Address, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., table: _Optional[_Union[ForwardingTable, _Mapping]] = ...) -> None: ...

class PortForwarding(_message.Message):
    __slots__ = ["flood_limit", "learning"]
    FLOOD_LIMIT_FIELD_NUMBER: _ClassVar[int]
    LEARNING_FIELD_NUMBER: _ClassVar[int]
    flood_limit: int
    learning: bool
    def __init__(self, learning: bool = ..., flood_limit: _Optional[int] = ...) -> None: ...

class SetAgeingRequest(_message.Message):
    __slots__ = ["ageing", "switch"]
    AGEING_FIELD_NUMBER: _ClassVar[int]
    SWITCH_FIELD_NUMBER: _ClassVar[int]
    ageing: _duration_pb2.Duration
    switch: str
    def __init__(self, switch: _Optional[str] = ..., ageing: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class SetAgeingResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class SetPortForwardingRequest(_message.Message):
    __slots__ = ["forwarding", "port", "switch"]
    FORWARDING_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    SWITCH_FIELD_NUMBER: _ClassVar[int]
    forwarding: PortForwarding
    port: str
    switch: str
    def __init__(self, switch: _Optional[str] = ..., port: _Optional[str] = ..., forwarding: _Optional[_Union[PortForwarding, _Mapping]] = ...) -> None: ...

class SetPortForwardingResponse(_message.Message):
    __slots__ = ["forwarding"]
    FORWARDING_FIELD_NUMBER: _ClassVar[int]
    forwarding: PortForwarding
    def __init__(self, forwarding: _Optional[_Union[PortForwarding, _Mapping]] = ...) -> None: ...

class TraceFrameRequest(_message.Message):
    __slots__ = ["frame", "port"]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    frame: bytes
    port: str
    def __init__(self, port: _Optional[str] = ..., frame: _Optional[bytes] = ...) -> None: ...

class TraceFrameResponse(_message.Message):
    __slots__ = ["destination", "drop", "entry", "hops", "learns", "rule", "source", "switch", "why"]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    DROP_FIELD_NUMBER: _ClassVar[int]
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    HOPS_FIELD_NUMBER: _ClassVar[int]
    LEARNS_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SWITCH_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    destination: str
    drop: str
    entry: Address
    hops: _containers.RepeatedCompositeFieldContainer[TraceHop]
    learns: bool
    rule: str
    source: str
    switch: str
    why: str
    def __init__(self, switch: _Optional[str] = ..., source: _Optional[str] = ..., destination: _Optional[str] = ..., rule: _Optional[str] = ..., why: _Optional[str] = ..., entry: _Optional[_Union[Address, _Mapping]] = ..., learns: bool = ..., hops: _Optional[_Iterable[_Union[TraceHop, _Mapping]]] = ..., drop: _Optional[str] = ...) -> None: ...

class TraceHop(_message.Message):
    __slots__ = ["drop", "port"]
    DROP_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    drop: str
    port: str
    def __init__(self, port: _Optional[str] = ..., drop: _Optional[str] = ...) -> None: ...
