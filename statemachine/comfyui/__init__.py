"""The only code that communicates with ComfyUI. It returns the core's events and decides nothing."""
