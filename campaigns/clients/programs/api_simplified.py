"""comfy-api-simplified."""

import sys
from pathlib import Path

from comfy_api_simplified import ComfyApiWrapper, ComfyWorkflowWrapper

url, folder, picture = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
api = ComfyApiWrapper(f"{url}/")
graph = ComfyWorkflowWrapper(str(folder / "invert.json"))
uploaded = api.upload_image(str(picture))
graph.set_node_param("Load Image", "image", f"{uploaded['subfolder']}/{uploaded['name']}".lstrip("/"))
(content,) = api.queue_and_wait_images(graph, "Save Image").values()
(folder / "result.png").write_bytes(content)
