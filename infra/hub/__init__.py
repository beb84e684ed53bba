"""The transport: Faust as the frame, our own consumer inside, offsets committed only behind acknowledged output.

The only door to Faust and aiokafka besides `infra.worker`, which builds an app from these parts. Faust's own
acknowledgements, `take`, tables, sinks, `group_by` and `topic.send` are never used: they lose messages.
"""

from infra.hub.chunk import TP, Chunk
from infra.hub.fence import Fence
from infra.hub.tail import LogTail
from infra.record import Record

__all__ = ["TP", "Chunk", "Fence", "LogTail", "Record"]
