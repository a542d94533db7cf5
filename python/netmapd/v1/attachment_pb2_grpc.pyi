# Made by make generate.
from typing import Iterator, Optional

import grpc

from netmapd.v1 import attachment_pb2

class AttachmentServiceStub:
    def __init__(self, channel: grpc.Channel) -> None: ...
    def ListAttachments(self, request: attachment_pb2.ListAttachmentsRequest, timeout: Optional[float] = ...) -> attachment_pb2.ListAttachmentsResponse: ...
