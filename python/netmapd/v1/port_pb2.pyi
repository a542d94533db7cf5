from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor
INTERFACE_DRIVER_AF_PACKET: InterfaceDriver
INTERFACE_DRIVER_AF_XDP: InterfaceDriver
INTERFACE_DRIVER_AUTO: InterfaceDriver
INTERFACE_DRIVER_UNSPECIFIED: InterfaceDriver
PORT_KIND_DEVICE: PortKind
PORT_KIND_HOST: PortKind
PORT_KIND_IMPLICIT: PortKind
PORT_KIND_INTERFACE: PortKind
PORT_KIND_MONITOR: PortKind
PORT_KIND_NULL: PortKind
PORT_KIND_PATCH: PortKind
PORT_KIND_PERSISTENT: PortKind
PORT_KIND_PIPE: PortKind
PORT_KIND_UNSPECIFIED: PortKind
PORT_KIND_VALE: PortKind

class AttachPortRequest(_message.Message):
    __slots__ = ["extra_buffers", "spec"]
    EXTRA_BUFFERS_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    extra_buffers: int
    spec: str
    def __init__(self, spec: _Optional[str] = ..., extra_buffers: _Optional[int] = ...) -> None: ...

class AttachPortResponse(_message.Message):
    __slots__ = ["attach_socket", "expires", "ticket"]
    ATTACH_SOCKET_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    attach_socket: str
    expires: _timestamp_pb2.Timestamp
    ticket: bytes
    def __init__(self, ticket: _Optional[bytes] = ..., expires: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., attach_socket: _Optional[str] = ...) -> None: ...

class CreatePortRequest(_message.Message):
    __slots__ = ["spec"]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    spec: PortSpec
    def __init__(self, spec: _Optional[_Union[PortSpec, _Mapping]] = ...) -> None: ...

class CreatePortResponse(_message.Message):
    __slots__ = ["port"]
    PORT_FIELD_NUMBER: _ClassVar[int]
    port: Port
    def __init__(self, port: _Optional[_Union[Port, _Mapping]] = ...) -> None: ...

class DeletePortRequest(_message.Message):
    __slots__ = ["name"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeletePortResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class GetPortRequest(_message.Message):
    __slots__ = ["name"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetPortResponse(_message.Message):
    __slots__ = ["port"]
    PORT_FIELD_NUMBER: _ClassVar[int]
    port: Port
    def __init__(self, port: _Optional[_Union[Port, _Mapping]] = ...) -> None: ...

class ListPortsRequest(_message.Message):
    __slots__ = ["page_size", "page_token"]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListPortsResponse(_message.Message):
    __slots__ = ["next_page_token", "ports"]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    next_page_token: str
    ports: _containers.RepeatedCompositeFieldContainer[Port]
    def __init__(self, ports: _Optional[_Iterable[_Union[Port, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Port(_message.Message):
    __slots__ = ["created", "driver", "ephemeral", "id", "index", "kind", "lcore", "link_up", "mac", "mtu", "name", "nic", "region_id", "rx_rings", "rx_slots", "switch", "tx_rings", "tx_slots", "users"]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    DRIVER_FIELD_NUMBER: _ClassVar[int]
    EPHEMERAL_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LCORE_FIELD_NUMBER: _ClassVar[int]
    LINK_UP_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    MTU_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    NIC_FIELD_NUMBER: _ClassVar[int]
    REGION_ID_FIELD_NUMBER: _ClassVar[int]
    RX_RINGS_FIELD_NUMBER: _ClassVar[int]
    RX_SLOTS_FIELD_NUMBER: _ClassVar[int]
    SWITCH_FIELD_NUMBER: _ClassVar[int]
    TX_RINGS_FIELD_NUMBER: _ClassVar[int]
    TX_SLOTS_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    created: _timestamp_pb2.Timestamp
    driver: str
    ephemeral: bool
    id: int
    index: int
    kind: PortKind
    lcore: int
    link_up: bool
    mac: str
    mtu: int
    name: str
    nic: PortNIC
    region_id: int
    rx_rings: int
    rx_slots: int
    switch: str
    tx_rings: int
    tx_slots: int
    users: _containers.RepeatedCompositeFieldContainer[PortUser]
    def __init__(self, id: _Optional[int] = ..., name: _Optional[str] = ..., kind: _Optional[_Union[PortKind, str]] = ..., driver: _Optional[str] = ..., ephemeral: bool = ..., switch: _Optional[str] = ..., index: _Optional[int] = ..., mac: _Optional[str] = ..., link_up: bool = ..., mtu: _Optional[int] = ..., tx_rings: _Optional[int] = ..., rx_rings: _Optional[int] = ..., tx_slots: _Optional[int] = ..., rx_slots: _Optional[int] = ..., region_id: _Optional[int] = ..., lcore: _Optional[int] = ..., users: _Optional[_Iterable[_Union[PortUser, _Mapping]]] = ..., created: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., nic: _Optional[_Union[PortNIC, _Mapping]] = ...) -> None: ...

class PortNIC(_message.Message):
    __slots__ = ["address", "bus", "copies", "full_duplex", "link_mbps", "numa", "pci_id", "present", "promiscuous", "queue_lcores", "rx_zero_copy", "tx_zero_copy"]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    BUS_FIELD_NUMBER: _ClassVar[int]
    COPIES_FIELD_NUMBER: _ClassVar[int]
    FULL_DUPLEX_FIELD_NUMBER: _ClassVar[int]
    LINK_MBPS_FIELD_NUMBER: _ClassVar[int]
    NUMA_FIELD_NUMBER: _ClassVar[int]
    PCI_ID_FIELD_NUMBER: _ClassVar[int]
    PRESENT_FIELD_NUMBER: _ClassVar[int]
    PROMISCUOUS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_LCORES_FIELD_NUMBER: _ClassVar[int]
    RX_ZERO_COPY_FIELD_NUMBER: _ClassVar[int]
    TX_ZERO_COPY_FIELD_NUMBER: _ClassVar[int]
    address: str
    bus: str
    copies: str
    full_duplex: bool
    link_mbps: int
    numa: int
    pci_id: str
    present: bool
    promiscuous: bool
    queue_lcores: _containers.RepeatedScalarFieldContainer[int]
    rx_zero_copy: bool
    tx_zero_copy: bool
    def __init__(self, bus: _Optional[str] = ..., address: _Optional[str] = ..., pci_id: _Optional[str] = ..., numa: _Optional[int] = ..., present: bool = ..., link_mbps: _Optional[int] = ..., full_duplex: bool = ..., promiscuous: bool = ..., rx_zero_copy: bool = ..., tx_zero_copy: bool = ..., copies: _Optional[str] = ..., queue_lcores: _Optional[_Iterable[int]] = ...) -> None: ...

class PortSpec(_message.Message):
    __slots__ = ["devargs", "driver", "drop_unbound", "host_ifname", "ifname", "kind", "mtu", "name", "rings", "slots"]
    DEVARGS_FIELD_NUMBER: _ClassVar[int]
    DRIVER_FIELD_NUMBER: _ClassVar[int]
    DROP_UNBOUND_FIELD_NUMBER: _ClassVar[int]
    HOST_IFNAME_FIELD_NUMBER: _ClassVar[int]
    IFNAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    MTU_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    RINGS_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    devargs: str
    driver: InterfaceDriver
    drop_unbound: bool
    host_ifname: str
    ifname: str
    kind: PortKind
    mtu: int
    name: str
    rings: int
    slots: int
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[_Union[PortKind, str]] = ..., ifname: _Optional[str] = ..., driver: _Optional[_Union[InterfaceDriver, str]] = ..., devargs: _Optional[str] = ..., rings: _Optional[int] = ..., slots: _Optional[int] = ..., host_ifname: _Optional[str] = ..., drop_unbound: bool = ..., mtu: _Optional[int] = ...) -> None: ...

class PortUser(_message.Message):
    __slots__ = ["command", "mode", "pid", "rings", "since", "uid"]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    RINGS_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    command: str
    mode: str
    pid: int
    rings: _containers.RepeatedScalarFieldContainer[str]
    since: _timestamp_pb2.Timestamp
    uid: int
    def __init__(self, pid: _Optional[int] = ..., uid: _Optional[int] = ..., command: _Optional[str] = ..., since: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., mode: _Optional[str] = ..., rings: _Optional[_Iterable[str]] = ...) -> None: ...

class PortKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class InterfaceDriver(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
