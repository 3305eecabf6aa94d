"""Frames of /ws, as the simulator would not send them."""

import json
import struct
from typing import Any

from tests.faults.proxy import Raw

FIN, TEXT, BINARY = 0x80, 0x1, 0x2
RESERVED = 0x7


def wire(opcode: int, payload: bytes, claimed: int | None = None) -> Raw:
    """An unmasked frame; with `claimed` its header says another length than it has."""
    size = len(payload) if claimed is None else claimed
    return Raw(struct.pack("!BBQ", FIN | opcode, 127, size) + payload)


def status(remaining: Any) -> str:
    """A `status` frame."""
    return json.dumps({"type": "status", "data": {"status": {"exec_info": {"queue_remaining": remaining}}}})
