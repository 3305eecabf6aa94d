"""comfy-script."""

import sys
from pathlib import Path

import requests
from comfy_script.runtime import Workflow, load

url, folder, picture = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
load(f"{url}/")
from comfy_script.runtime import nodes  # noqa: E402 - exists once it is loaded

with picture.open("rb") as file:
    uploaded = requests.post(f"{url}/upload/image", files={"image": file}, timeout=60).json()
with Workflow():
    image, _ = nodes.LoadImage(uploaded["name"])
    saved = nodes.SaveImage(nodes.ImageInvert(image), "ComfyUI")
saved.wait()[0].save(folder / "result.png")
