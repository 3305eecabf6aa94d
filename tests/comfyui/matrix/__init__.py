"""A table of what the daemon does on real ComfyUI servers: version by kind of check by situation."""
