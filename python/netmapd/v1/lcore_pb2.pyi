from netmapd.v1 import stats_pb2 as _stats_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Lcore(_message.Message):
    __slots__ = ["ports", "stats"]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    STATS_FIELD_NUMBER: _ClassVar[int]
    ports: _containers.RepeatedCompositeFieldContainer[LcorePort]
    stats: _stats_pb2.LcoreStats
    def __init__(self, stats: _Optional[_Union[_stats_pb2.LcoreStats, _Mapping]] = ..., ports: _Optional[_Iterable[_Union[LcorePort, _Mapping]]] = ...) -> None: ...

class LcorePort(_message.Message):
    __slots__ = ["name", "rx_queues", "tx_queues"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    RX_QUEUES_FIELD_NUMBER: _ClassVar[int]
    TX_QUEUES_FIELD_NUMBER: _ClassVar[int]
    name: str
    rx_queues: int
    tx_queues: int
    def __init__(self, name: _Optional[str] = ..., rx_queues: _Optional[int] = ..., tx_queues: _Optional[int] = ...) -> None: ...

class ListLcoresRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class ListLcoresResponse(_message.Message):
    __slots__ = ["lcores", "tsc_hz"]
    LCORES_FIELD_NUMBER: _ClassVar[int]
    TSC_HZ_FIELD_NUMBER: _ClassVar[int]
    lcores: _containers.RepeatedCompositeFieldContainer[Lcore]
    tsc_hz: int
    def __init__(self, lcores: _Optional[_Iterable[_Union[Lcore, _Mapping]]] = ..., tsc_hz: _Optional[int] = ...) -> None: ...

class MovePortRequest(_message.Message):
    __slots__ = ["lcore", "port"]
    LCORE_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    lcore: int
    port: str
    def __init__(self, port: _Optional[str] = ..., lcore: _Optional[int] = ...) -> None: ...

class MovePortResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...
