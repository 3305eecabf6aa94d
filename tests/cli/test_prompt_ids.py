"""The ids of the prompts that the daemon posts."""

import uuid

from statemachine.daemon.process import new_id


def test_new_id_is_uuid_in_canonical_lower_case() -> None:
    """ComfyUI 0.25 and later answers any other spelling with 400 `invalid_prompt_id`."""
    for prompt_id in (new_id() for _ in range(100)):
        assert str(uuid.UUID(prompt_id)) == prompt_id
