from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor
LCORE_MODE_ADAPTIVE: LcoreMode
LCORE_MODE_POLL: LcoreMode
LCORE_MODE_UNSPECIFIED: LcoreMode

class Count(_message.Message):
    __slots__ = ["bytes", "frames"]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    bytes: int
    frames: int
    def __init__(self, frames: _Optional[int] = ..., bytes: _Optional[int] = ...) -> None: ...

class GetStatsRequest(_message.Message):
    __slots__ = ["ports"]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    ports: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, ports: _Optional[_Iterable[str]] = ...) -> None: ...

class GetStatsResponse(_message.Message):
    __slots__ = ["snapshot"]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    snapshot: Snapshot
    def __init__(self, snapshot: _Optional[_Union[Snapshot, _Mapping]] = ...) -> None: ...

class LcoreStats(_message.Message):
    __slots__ = ["busy_cycles", "cpu", "id", "idle_cycles", "mode", "packets", "silent_units", "sleep_cycles", "sleeps", "stage_cycles", "stuck", "timer_wakeups", "units", "wakeups"]
    BUSY_CYCLES_FIELD_NUMBER: _ClassVar[int]
    CPU_FIELD_NUMBER: _ClassVar[int]
    IDLE_CYCLES_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    PACKETS_FIELD_NUMBER: _ClassVar[int]
    SILENT_UNITS_FIELD_NUMBER: _ClassVar[int]
    SLEEPS_FIELD_NUMBER: _ClassVar[int]
    SLEEP_CYCLES_FIELD_NUMBER: _ClassVar[int]
    STAGE_CYCLES_FIELD_NUMBER: _ClassVar[int]
    STUCK_FIELD_NUMBER: _ClassVar[int]
    TIMER_WAKEUPS_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    WAKEUPS_FIELD_NUMBER: _ClassVar[int]
    busy_cycles: int
    cpu: int
    id: int
    idle_cycles: int
    mode: LcoreMode
    packets: int
    silent_units: int
    sleep_cycles: int
    sleeps: int
    stage_cycles: StageCycles
    stuck: bool
    timer_wakeups: int
    units: int
    wakeups: int
    def __init__(self, id: _Optional[int] = ..., cpu: _Optional[int] = ..., mode: _Optional[_Union[LcoreMode, str]] = ..., units: _Optional[int] = ..., packets: _Optional[int] = ..., busy_cycles: _Optional[int] = ..., idle_cycles: _Optional[int] = ..., sleeps: _Optional[int] = ..., wakeups: _Optional[int] = ..., stuck: bool = ..., silent_units: _Optional[int] = ..., sleep_cycles: _Optional[int] = ..., timer_wakeups: _Optional[int] = ..., stage_cycles: _Optional[_Union[StageCycles, _Mapping]] = ...) -> None: ...

class PoolStats(_message.Message):
    __slots__ = ["free", "size", "total"]
    FREE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    free: int
    size: int
    total: int
    def __init__(self, size: _Optional[int] = ..., total: _Optional[int] = ..., free: _Optional[int] = ...) -> None: ...

class PortStats(_message.Message):
    __slots__ = ["bad_rings", "device", "drops", "gone", "id", "name", "rx", "switch", "tx"]
    class DeviceEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class DropsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    BAD_RINGS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    DROPS_FIELD_NUMBER: _ClassVar[int]
    GONE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    RX_FIELD_NUMBER: _ClassVar[int]
    SWITCH_FIELD_NUMBER: _ClassVar[int]
    TX_FIELD_NUMBER: _ClassVar[int]
    bad_rings: int
    device: _containers.ScalarMap[str, int]
    drops: _containers.ScalarMap[str, int]
    gone: bool
    id: int
    name: str
    rx: Count
    switch: str
    tx: Count
    def __init__(self, id: _Optional[int] = ..., name: _Optional[str] = ..., switch: _Optional[str] = ..., gone: bool = ..., tx: _Optional[_Union[Count, _Mapping]] = ..., rx: _Optional[_Union[Count, _Mapping]] = ..., drops: _Optional[_Mapping[str, int]] = ..., bad_rings: _Optional[int] = ..., device: _Optional[_Mapping[str, int]] = ...) -> None: ...

class RegionStats(_message.Message):
    __slots__ = ["buf_pool", "id", "if_pool", "lent", "name", "orphans", "owner", "ring_pool", "size", "users"]
    BUF_POOL_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    IF_POOL_FIELD_NUMBER: _ClassVar[int]
    LENT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ORPHANS_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    RING_POOL_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    buf_pool: PoolStats
    id: int
    if_pool: PoolStats
    lent: int
    name: str
    orphans: int
    owner: int
    ring_pool: PoolStats
    size: int
    users: int
    def __init__(self, id: _Optional[int] = ..., name: _Optional[str] = ..., size: _Optional[int] = ..., if_pool: _Optional[_Union[PoolStats, _Mapping]] = ..., ring_pool: _Optional[_Union[PoolStats, _Mapping]] = ..., buf_pool: _Optional[_Union[PoolStats, _Mapping]] = ..., orphans: _Optional[int] = ..., users: _Optional[int] = ..., lent: _Optional[int] = ..., owner: _Optional[int] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ["descriptors", "lcores", "ports", "regions", "sessions", "time", "tsc_hz"]
    DESCRIPTORS_FIELD_NUMBER: _ClassVar[int]
    LCORES_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    TSC_HZ_FIELD_NUMBER: _ClassVar[int]
    descriptors: int
    lcores: _containers.RepeatedCompositeFieldContainer[LcoreStats]
    ports: _containers.RepeatedCompositeFieldContainer[PortStats]
    regions: _containers.RepeatedCompositeFieldContainer[RegionStats]
    sessions: int
    time: _timestamp_pb2.Timestamp
    tsc_hz: int
    def __init__(self, time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., tsc_hz: _Optional[int] = ..., ports: _Optional[_Iterable[_Union[PortStats, _Mapping]]] = ..., lcores: _Optional[_Iterable[_Union[LcoreStats, _Mapping]]] = ..., regions: _Optional[_Iterable[_Union[RegionStats, _Mapping]]] = ..., sessions: _Optional[int] = ..., descriptors: _Optional[int] = ...) -> None: ...

class StageCycles(_message.Message):
    __slots__ = ["classify", "copy", "forward", "notify", "poll"]
    CLASSIFY_FIELD_NUMBER: _ClassVar[int]
    COPY_FIELD_NUMBER: _ClassVar[int]
    FORWARD_FIELD_NUMBER: _ClassVar[int]
    NOTIFY_FIELD_NUMBER: _ClassVar[int]
    POLL_FIELD_NUMBER: _ClassVar[int]
    classify: int
    copy: int
    forward: int
    notify: int
    poll: int
    def __init__(self, poll: _Optional[int] = ..., classify: _Optional[int] = ..., forward: _Optional[int] = ..., copy: _Optional[int] = ..., notify: _Optional[int] = ...) -> None: ...

class WatchStatsRequest(_message.Message):
    __slots__ = ["interval", "ports"]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    interval: _duration_pb2.Duration
    ports: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, ports: _Optional[_Iterable[str]] = ..., interval: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WatchStatsResponse(_message.Message):
    __slots__ = ["snapshot"]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    snapshot: Snapshot
    def __init__(self, snapshot: _Optional[_Union[Snapshot, _Mapping]] = ...) -> None: ...

class LcoreMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
