"""Scripts that use public clients of ComfyUI. Each runs in the environment of its client; see `public_clients.py`."""
