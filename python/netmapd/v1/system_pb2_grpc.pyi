# Made by make generate.
from typing import Iterator, Optional

import grpc

from netmapd.v1 import system_pb2

class SystemServiceStub:
    def __init__(self, channel: grpc.Channel) -> None: ...
    def GetInfo(self, request: system_pb2.GetInfoRequest, timeout: Optional[float] = ...) -> system_pb2.GetInfoResponse: ...
    def SetLogLevel(self, request: system_pb2.SetLogLevelRequest, timeout: Optional[float] = ...) -> system_pb2.SetLogLevelResponse: ...
