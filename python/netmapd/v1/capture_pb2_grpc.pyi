# Made by make generate.
from typing import Iterator, Optional

import grpc

from netmapd.v1 import capture_pb2

class CaptureServiceStub:
    def __init__(self, channel: grpc.Channel) -> None: ...
    def Capture(self, request: capture_pb2.CaptureRequest, timeout: Optional[float] = ...) -> Iterator[capture_pb2.CaptureResponse]: ...
