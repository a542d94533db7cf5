# Made by make generate.
from typing import Iterator, Optional

import grpc

from netmapd.v1 import lcore_pb2

class LcoreServiceStub:
    def __init__(self, channel: grpc.Channel) -> None: ...
    def ListLcores(self, request: lcore_pb2.ListLcoresRequest, timeout: Optional[float] = ...) -> lcore_pb2.ListLcoresResponse: ...
    def MovePort(self, request: lcore_pb2.MovePortRequest, timeout: Optional[float] = ...) -> lcore_pb2.MovePortResponse: ...
