"""comfy-cli: upload, run and download, as commands."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

url, folder, picture = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
comfy = str(Path(sys.executable).with_name("comfy"))
environment = {**os.environ, "COMFY_LOCAL_URL": url, "COMFY_NO_WATCH": "1"}
place = ["--host", str(urlsplit(url).hostname), "--port", str(urlsplit(url).port)]


def run(*arguments: str) -> str:
    """Run a command; return its output. End with its messages if it fails."""
    command = [comfy, "--skip-prompt", *arguments]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"comfy {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


run("upload", str(picture), *place)
lines = run("run", "--workflow", str(folder / "invert.json"), "--wait", "--json", *place).splitlines()
events = [json.loads(line) for line in lines if line.startswith("{")]
(prompt_id,) = {event["prompt_id"] for event in events if event.get("prompt_id")}
run("download", prompt_id, "--out-dir", str(folder / "out"))
shutil.copy(next((folder / "out").rglob("*.png")), folder / "result.png")
