"""Client of netmapd's control API, for Python 3 with grpcio and protobuf.

    import netmapd
    from netmapd.v1 import port_pb2

    with netmapd.connect() as daemon:
        for port in daemon.ports.ListPorts(port_pb2.ListPortsRequest()).ports:
            print(port.name, port.switch)

Messages and services are those of api/proto; the modules in netmapd.v1 are
made from them by "make generate", with types. Errors are grpc.RpcError.
"""

import os
from types import TracebackType
from typing import Optional, Type

import grpc

from netmapd.v1 import (
    capture_pb2_grpc,
    config_pb2_grpc,
    forwarding_pb2_grpc,
    port_pb2_grpc,
    stats_pb2_grpc,
    switch_pb2_grpc,
    system_pb2_grpc,
)

_SYSTEM = "/run/netmapd"


def runtime_dir() -> str:
    """The directory of the daemon's sockets, found as nmctl finds it."""
    given = os.environ.get("NETMAPD_RUNTIME_DIR")
    if given:
        return given
    if os.geteuid() == 0:
        return _SYSTEM
    xdg = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(xdg):
        own = os.path.join(xdg, "netmapd")
    else:
        own = "/tmp/netmapd-%d" % os.geteuid()
        # Anybody can make that one.
        if os.path.lexists(own) and (os.path.islink(own) or os.stat(own).st_uid != os.geteuid()):
            raise PermissionError("runtime directory %s is not ours" % own)
    if not os.path.lexists(os.path.join(own, "netmap.sock")) and os.path.lexists(os.path.join(_SYSTEM, "netmap.sock")):
        return _SYSTEM
    return own


class Client:
    """The services of a daemon over one connection; close it, or use it in a with statement."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.ports = port_pb2_grpc.PortServiceStub(channel)
        self.switches = switch_pb2_grpc.SwitchServiceStub(channel)
        self.forwarding = forwarding_pb2_grpc.ForwardingServiceStub(channel)
        self.stats = stats_pb2_grpc.StatsServiceStub(channel)
        self.captures = capture_pb2_grpc.CaptureServiceStub(channel)
        self.config = config_pb2_grpc.ConfigServiceStub(channel)
        self.system = system_pb2_grpc.SystemServiceStub(channel)

    def close(self) -> None:
        self.channel.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()


def connect(directory: Optional[str] = None) -> Client:
    """Connects to the daemon of a runtime directory, of the one that nmctl would take when it is not given.

    Nothing is sent before the first call. For a daemon on another machine make
    a channel with certificates (grpc.secure_channel) and give it to Client.
    """
    socket = os.path.join(os.path.abspath(directory or runtime_dir()), "control.sock")
    return Client(grpc.insecure_channel("unix:" + socket))
