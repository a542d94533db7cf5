from google.protobuf import duration_pb2 as _duration_pb2
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

class Limits(_message.Message):
    __slots__ = ["control_timeout", "descriptors_per_uid", "extra_bufs_per_uid", "memory_mb_per_uid", "sessions", "sessions_per_uid"]
    CONTROL_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTORS_PER_UID_FIELD_NUMBER: _ClassVar[int]
    EXTRA_BUFS_PER_UID_FIELD_NUMBER: _ClassVar[int]
    MEMORY_MB_PER_UID_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_PER_UID_FIELD_NUMBER: _ClassVar[int]
    control_timeout: _duration_pb2.Duration
    descriptors_per_uid: int
    extra_bufs_per_uid: int
    memory_mb_per_uid: int
    sessions: int
    sessions_per_uid: int
    def __init__(self, descriptors_per_uid: _Optional[int] = ..., extra_bufs_per_uid: _Optional[int] = ..., memory_mb_per_uid: _Optional[int] = ..., sessions_per_uid: _Optional[int] = ..., sessions: _Optional[int] = ..., control_timeout: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class SetLogLevelRequest(_message.Message):
    __slots__ = ["level"]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    level: str
    def __init__(self, level: _Optional[str] = ...) -> None: ...

class SetLogLevelResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class SystemInfo(_message.Message):
    __slots__ = ["attach_socket", "dpdk_version", "eal_args", "limits", "log_level", "notes", "pid", "runtime_dir", "started", "version"]
    ATTACH_SOCKET_FIELD_NUMBER: _ClassVar[int]
    DPDK_VERSION_FIELD_NUMBER: _ClassVar[int]
    EAL_ARGS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    LOG_LEVEL_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_DIR_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    attach_socket: str
    dpdk_version: str
    eal_args: _containers.RepeatedScalarFieldContainer[str]
    limits: Limits
    log_level: str
    notes: _containers.RepeatedScalarFieldContainer[str]
    pid: int
    runtime_dir: str
    started: _timestamp_pb2.Timestamp
    version: str
    def __init__(self, version: _Optional[str] = ..., pid: _Optional[int] = ..., started: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., dpdk_version: _Optional[str] = ..., eal_args: _Optional[_Iterable[str]] = ..., notes: _Optional[_Iterable[str]] = ..., runtime_dir: _Optional[str] = ..., attach_socket: _Optional[str] = ..., log_level: _Optional[str] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ...) -> None: ...
