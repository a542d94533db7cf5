# Made by make generate.
from typing import Iterator, Optional

import grpc

from netmapd.v1 import stats_pb2

class StatsServiceStub:
    def __init__(self, channel: grpc.Channel) -> None: ...
    def GetStats(self, request: stats_pb2.GetStatsRequest, timeout: Optional[float] = ...) -> stats_pb2.GetStatsResponse: ...
    def WatchStats(self, request: stats_pb2.WatchStatsRequest, timeout: Optional[float] = ...) -> Iterator[stats_pb2.WatchStatsResponse]: ...
