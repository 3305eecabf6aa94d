"""Frames of /ws that the simulator does not send."""

import json
import struct
from typing import Any

from tests.faults.proxy import Raw

FIN, TEXT, BINARY = 0x80, 0x1, 0x2
RESERVED = 0x7


def wire(opcode: int, payload: bytes, claimed: int | None = None) -> Raw:
    """Build an unmasked frame; `claimed` is the length in its header if it is wrong."""
    size = len(payload) if claimed is None else claimed
    return Raw(struct.pack("!BBQ", FIN | opcode, 127, size) + payload)


def status(remaining: Any) -> str:
    """Build a `status` frame."""
    return json.dumps({"type": "status", "data": {"status": {"exec_info": {"queue_remaining": remaining}}}})
