"""Run graphs with comfy-sdk through comfy-api-proxy: the proxy's URL, then files. Writes each picture beside its file.

comfy-api-proxy reads queue and history one after the other, so it may call a job expired that ends just then; the next
look finds it.
"""

import os
import sys
import time
from pathlib import Path

LOOKS = 20
PAUSE_S = 0.2

os.environ["COMFY_BASE_URL"] = sys.argv[1]
from comfy_sdk import Comfy  # noqa: E402 - it reads the environment

client = Comfy()
for name in sys.argv[2:]:
    job = client.submit(client.workflows.from_file(name))
    job.wait()
    for _ in range(LOOKS):
        if job.status != "expired":
            break
        time.sleep(PAUSE_S)
        job.refresh()
    (output,) = job.get_outputs("save")
    Path(name).with_suffix(".png").write_bytes(output.to_bytes())
