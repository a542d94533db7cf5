# Made by make generate.
from typing import Iterator, Optional

import grpc

from netmapd.v1 import region_pb2

class RegionServiceStub:
    def __init__(self, channel: grpc.Channel) -> None: ...
    def ListRegions(self, request: region_pb2.ListRegionsRequest, timeout: Optional[float] = ...) -> region_pb2.ListRegionsResponse: ...
