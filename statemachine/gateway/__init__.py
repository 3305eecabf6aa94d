"""The gateway: one address that speaks ComfyUI's API and sends each prompt to a server of the fleet."""
