from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor
EVENT_KIND_ATTACHED: EventKind
EVENT_KIND_CLOSED: EventKind
EVENT_KIND_CONFIG_APPLIED: EventKind
EVENT_KIND_CONFIG_REFUSED: EventKind
EVENT_KIND_DETACHED: EventKind
EVENT_KIND_DEVICE_FAILED: EventKind
EVENT_KIND_DEVICE_LOST: EventKind
EVENT_KIND_LCORE_FAILED: EventKind
EVENT_KIND_LCORE_STUCK: EventKind
EVENT_KIND_LINK_DOWN: EventKind
EVENT_KIND_LINK_UP: EventKind
EVENT_KIND_OPENED: EventKind
EVENT_KIND_PORT_CREATED: EventKind
EVENT_KIND_PORT_GONE: EventKind
EVENT_KIND_UNSPECIFIED: EventKind

class Event(_message.Message):
    __slots__ = ["command", "detail", "kind", "pid", "port", "switch", "time", "uid"]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    SWITCH_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    command: str
    detail: str
    kind: EventKind
    pid: int
    port: str
    switch: str
    time: _timestamp_pb2.Timestamp
    uid: int
    def __init__(self, time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., kind: _Optional[_Union[EventKind, str]] = ..., port: _Optional[str] = ..., switch: _Optional[str] = ..., pid: _Optional[int] = ..., uid: _Optional[int] = ..., command: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class WatchEventsRequest(_message.Message):
    __slots__ = ["ports"]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    ports: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, ports: _Optional[_Iterable[str]] = ...) -> None: ...

class WatchEventsResponse(_message.Message):
    __slots__ = ["events"]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ...) -> None: ...

class EventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
