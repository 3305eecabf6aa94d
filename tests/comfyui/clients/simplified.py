"""Run graphs with comfy-api-simplified: the server's URL, then files. Writes each picture beside its file."""

import sys
from pathlib import Path

from comfy_api_simplified import ComfyApiWrapper, ComfyWorkflowWrapper

client = ComfyApiWrapper(sys.argv[1])
for name in sys.argv[2:]:
    images = client.queue_and_wait_images(ComfyWorkflowWrapper(name), "Save")
    (data,) = images.values()
    Path(name).with_suffix(".png").write_bytes(data)
