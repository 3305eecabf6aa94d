"""The JSON Schema of settings.json, from the model itself, so that editors complete and check it."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from statemachine.settings.model import Settings


def json_schema() -> dict[str, Any]:
    """The schema as JSON-ready data; settings.schema.json is this, and a test keeps it so."""
    schema = Settings.model_json_schema(by_alias=True)
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema, "title": "comfywarm settings"}
