from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from netmapd.v1 import forwarding_pb2 as _forwarding_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AttachToSwitchRequest(_message.Message):
    __slots__ = ["port", "switch"]
    PORT_FIELD_NUMBER: _ClassVar[int]
    SWITCH_FIELD_NUMBER: _ClassVar[int]
    port: str
    switch: str
    def __init__(self, switch: _Optional[str] = ..., port: _Optional[str] = ...) -> None: ...

class AttachToSwitchResponse(_message.Message):
    __slots__ = ["port"]
    PORT_FIELD_NUMBER: _ClassVar[int]
    port: SwitchPort
    def __init__(self, port: _Optional[_Union[SwitchPort, _Mapping]] = ...) -> None: ...

class CreateSwitchRequest(_message.Message):
    __slots__ = ["ageing", "compat", "name"]
    AGEING_FIELD_NUMBER: _ClassVar[int]
    COMPAT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ageing: _duration_pb2.Duration
    compat: bool
    name: str
    def __init__(self, name: _Optional[str] = ..., ageing: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., compat: bool = ...) -> None: ...

class CreateSwitchResponse(_message.Message):
    __slots__ = ["switch"]
    SWITCH_FIELD_NUMBER: _ClassVar[int]
    switch: Switch
    def __init__(self, switch: _Optional[_Union[Switch, _Mapping]] = ...) -> None: ...

class DeleteSwitchRequest(_message.Message):
    __slots__ = ["name"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteSwitchResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class DetachFromSwitchRequest(_message.Message):
    __slots__ = ["port", "switch"]
    PORT_FIELD_NUMBER: _ClassVar[int]
    SWITCH_FIELD_NUMBER: _ClassVar[int]
    port: str
    switch: str
    def __init__(self, switch: _Optional[str] = ..., port: _Optional[str] = ...) -> None: ...

class DetachFromSwitchResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class GetSwitchRequest(_message.Message):
    __slots__ = ["name"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetSwitchResponse(_message.Message):
    __slots__ = ["switch"]
    SWITCH_FIELD_NUMBER: _ClassVar[int]
    switch: Switch
    def __init__(self, switch: _Optional[_Union[Switch, _Mapping]] = ...) -> None: ...

class ListSwitchesRequest(_message.Message):
    __slots__ = ["page_size", "page_token"]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListSwitchesResponse(_message.Message):
    __slots__ = ["next_page_token", "switches"]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SWITCHES_FIELD_NUMBER: _ClassVar[int]
    next_page_token: str
    switches: _containers.RepeatedCompositeFieldContainer[Switch]
    def __init__(self, switches: _Optional[_Iterable[_Union[Switch, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Switch(_message.Message):
    __slots__ = ["compat", "created", "ephemeral", "fdb_entries", "name", "ports", "table"]
    COMPAT_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    EPHEMERAL_FIELD_NUMBER: _ClassVar[int]
    FDB_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    compat: bool
    created: _timestamp_pb2.Timestamp
    ephemeral: bool
    fdb_entries: int
    name: str
    ports: _containers.RepeatedCompositeFieldContainer[SwitchPort]
    table: _forwarding_pb2.ForwardingTable
    def __init__(self, name: _Optional[str] = ..., ports: _Optional[_Iterable[_Union[SwitchPort, _Mapping]]] = ..., fdb_entries: _Optional[int] = ..., ephemeral: bool = ..., created: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., table: _Optional[_Union[_forwarding_pb2.ForwardingTable, _Mapping]] = ..., compat: bool = ...) -> None: ...

class SwitchPort(_message.Message):
    __slots__ = ["forwarding", "index", "name"]
    FORWARDING_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    forwarding: _forwarding_pb2.PortForwarding
    index: int
    name: str
    def __init__(self, index: _Optional[int] = ..., name: _Optional[str] = ..., forwarding: _Optional[_Union[_forwarding_pb2.PortForwarding, _Mapping]] = ...) -> None: ...
