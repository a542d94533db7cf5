from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ApplyConfigRequest(_message.Message):
    __slots__ = ["yaml"]
    YAML_FIELD_NUMBER: _ClassVar[int]
    yaml: str
    def __init__(self, yaml: _Optional[str] = ...) -> None: ...

class ApplyConfigResponse(_message.Message):
    __slots__ = ["changes"]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    changes: ConfigChanges
    def __init__(self, changes: _Optional[_Union[ConfigChanges, _Mapping]] = ...) -> None: ...

class CheckConfigRequest(_message.Message):
    __slots__ = ["yaml"]
    YAML_FIELD_NUMBER: _ClassVar[int]
    yaml: str
    def __init__(self, yaml: _Optional[str] = ...) -> None: ...

class CheckConfigResponse(_message.Message):
    __slots__ = ["problems"]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    problems: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, problems: _Optional[_Iterable[str]] = ...) -> None: ...

class ConfigChanges(_message.Message):
    __slots__ = ["restart", "steps"]
    RESTART_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    restart: _containers.RepeatedScalarFieldContainer[str]
    steps: _containers.RepeatedCompositeFieldContainer[ConfigStep]
    def __init__(self, steps: _Optional[_Iterable[_Union[ConfigStep, _Mapping]]] = ..., restart: _Optional[_Iterable[str]] = ...) -> None: ...

class ConfigStep(_message.Message):
    __slots__ = ["action", "detail", "object"]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    action: str
    detail: str
    object: str
    def __init__(self, action: _Optional[str] = ..., object: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class GetConfigRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class GetConfigResponse(_message.Message):
    __slots__ = ["applied", "error", "file", "yaml"]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    YAML_FIELD_NUMBER: _ClassVar[int]
    applied: _timestamp_pb2.Timestamp
    error: str
    file: str
    yaml: str
    def __init__(self, yaml: _Optional[str] = ..., file: _Optional[str] = ..., applied: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., error: _Optional[str] = ...) -> None: ...

class PlanConfigRequest(_message.Message):
    __slots__ = ["yaml"]
    YAML_FIELD_NUMBER: _ClassVar[int]
    yaml: str
    def __init__(self, yaml: _Optional[str] = ...) -> None: ...

class PlanConfigResponse(_message.Message):
    __slots__ = ["changes"]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    changes: ConfigChanges
    def __init__(self, changes: _Optional[_Union[ConfigChanges, _Mapping]] = ...) -> None: ...

class SaveConfigRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class SaveConfigResponse(_message.Message):
    __slots__ = ["backup", "file"]
    BACKUP_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    backup: str
    file: str
    def __init__(self, file: _Optional[str] = ..., backup: _Optional[str] = ...) -> None: ...
