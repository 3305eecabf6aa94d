"""comfywarm keeps fleets of ComfyUI servers warm."""
