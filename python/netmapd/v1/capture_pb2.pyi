from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor
DIRECTION_IN: Direction
DIRECTION_OUT: Direction
DIRECTION_UNSPECIFIED: Direction

class BpfInstruction(_message.Message):
    __slots__ = ["code", "jf", "jt", "k"]
    CODE_FIELD_NUMBER: _ClassVar[int]
    JF_FIELD_NUMBER: _ClassVar[int]
    JT_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    code: int
    jf: int
    jt: int
    k: int
    def __init__(self, code: _Optional[int] = ..., jt: _Optional[int] = ..., jf: _Optional[int] = ..., k: _Optional[int] = ...) -> None: ...

class CaptureRequest(_message.Message):
    __slots__ = ["direction", "filter", "ports", "snap_length"]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    SNAP_LENGTH_FIELD_NUMBER: _ClassVar[int]
    direction: Direction
    filter: _containers.RepeatedCompositeFieldContainer[BpfInstruction]
    ports: _containers.RepeatedScalarFieldContainer[str]
    snap_length: int
    def __init__(self, ports: _Optional[_Iterable[str]] = ..., direction: _Optional[_Union[Direction, str]] = ..., snap_length: _Optional[int] = ..., filter: _Optional[_Iterable[_Union[BpfInstruction, _Mapping]]] = ...) -> None: ...

class CaptureResponse(_message.Message):
    __slots__ = ["frames", "missed"]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    frames: _containers.RepeatedCompositeFieldContainer[CapturedFrame]
    missed: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, frames: _Optional[_Iterable[_Union[CapturedFrame, _Mapping]]] = ..., missed: _Optional[_Iterable[int]] = ...) -> None: ...

class CapturedFrame(_message.Message):
    __slots__ = ["data", "direction", "length", "port", "time"]
    DATA_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    direction: Direction
    length: int
    port: int
    time: _timestamp_pb2.Timestamp
    def __init__(self, time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., port: _Optional[int] = ..., direction: _Optional[_Union[Direction, str]] = ..., length: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class Direction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
