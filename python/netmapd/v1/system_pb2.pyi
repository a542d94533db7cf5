from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetInfoRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class GetInfoResponse(_message.Message):
    __slots__ = ["info"]
    INFO_FIELD_NUMBER: _ClassVar[int]
    info: SystemInfo
    def __init__(self, info: _Optional[_Union[SystemInfo, _Mapping]] = ...) -> None: ...

class SetLogLevelRequest(_message.Message):
    __slots__ = ["level"]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    level: str
    def __init__(self, level: _Optional[str] = ...) -> None: ...

class SetLogLevelResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class SystemInfo(_message.Message):
    __slots__ = ["attach_socket", "dpdk_version", "eal_args", "log_level", "notes", "pid", "runtime_dir", "started", "version"]
    ATTACH_SOCKET_FIELD_NUMBER: _ClassVar[int]
    DPDK_VERSION_FIELD_NUMBER: _ClassVar[int]
    EAL_ARGS_FIELD_NUMBER: _ClassVar[int]
    LOG_LEVEL_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_DIR_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    attach_socket: str
    dpdk_version: str
    eal_args: _containers.RepeatedScalarFieldContainer[str]
    log_level: str
    notes: _containers.RepeatedScalarFieldContainer[str]
    pid: int
    runtime_dir: str
    started: _timestamp_pb2.Timestamp
    version: str
    def __init__(self, version: _Optional[str] = ..., pid: _Optional[int] = ..., started: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., dpdk_version: _Optional[str] = ..., eal_args: _Optional[_Iterable[str]] = ..., notes: _Optional[_Iterable[str]] = ..., runtime_dir: _Optional[str] = ..., attach_socket: _Optional[str] = ..., log_level: _Optional[str] = ...) -> None: ...
