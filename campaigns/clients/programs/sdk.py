"""comfy-sdk over comfy-api-proxy, which runs between it and the server."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from comfy_sdk import Comfy

START_S = 60.0
LOOKS = 5

url, folder, picture = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
proxy = Path(sys.executable).with_name("comfy-api-proxy")
command = [str(proxy), "run", "--comfyui", url, "--port", str(port)]
with (folder / "proxy.log").open("wb") as log:
    process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
try:
    deadline = time.monotonic() + START_S
    while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.environ["COMFY_BASE_URL"] = f"http://127.0.0.1:{port}"
    client = Comfy()
    graph = client.workflows.from_file(folder / "invert.json")
    graph.set_input("1", "image", client.assets.from_file(picture))
    job = client.submit(graph)
    for _ in range(LOOKS):  # the proxy says "expired" if a job ends between its look at the history and at the queue
        if job.wait().status != "expired":
            break
        job = client.jobs.get(job.id)
    job.get_outputs("3")[0].to_file(folder / "result.png")
finally:
    process.terminate()
    process.wait(START_S)
