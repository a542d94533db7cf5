# Made by make generate.
from typing import Iterator, Optional

import grpc

from netmapd.v1 import event_pb2

class EventServiceStub:
    def __init__(self, channel: grpc.Channel) -> None: ...
    def WatchEvents(self, request: event_pb2.WatchEventsRequest, timeout: Optional[float] = ...) -> Iterator[event_pb2.WatchEventsResponse]: ...
