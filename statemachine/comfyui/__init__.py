"""The only code that speaks to ComfyUI. It reports what happened as the core's events and decides nothing."""
