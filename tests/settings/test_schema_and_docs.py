"""The schema and docs/settings.md agree with the model: every key, its default and its range."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from statemachine.settings import json_schema, parse_settings
from tests.settings.samples import CONTRACT_EXAMPLE
from tests.support.paths import DOCS, REPOSITORY

SCHEMA = json_schema()
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def section_of(field: dict[str, Any]) -> dict[str, Any] | None:
    name = str(field.get("$ref", "")).rpartition("/")[2]
    return SCHEMA["$defs"][name] if name else None


def leaves(schema: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for key, field in schema["properties"].items():
        section = section_of(field)
        if section is None:
            yield f"{prefix}{key}", field
        else:
            yield from leaves(section, f"{prefix}{key}.")


SETTINGS = (
    dict(leaves(SCHEMA))
    | dict(leaves(SCHEMA["$defs"]["ServerEntry"], "servers[]."))
    | dict(leaves(SCHEMA["$defs"]["ListenTls"], "listen.tls."))
    | dict(leaves(SCHEMA["$defs"]["ListenToken"], "listen.tokens.NAME."))
    | dict(leaves(SCHEMA["$defs"]["AlertRule"], "alerts.rules[]."))
    | dict(leaves(SCHEMA["$defs"]["AlertChannel"], "alerts.channels.NAME."))
    | dict(leaves(SCHEMA["$defs"]["MaintenanceWindow"], "maintenance[]."))
    | dict(leaves(SCHEMA["$defs"]["FileSource"], "discovery[]."))
    | dict(leaves(SCHEMA["$defs"]["HttpSource"], "discovery[]."))
    | dict(leaves(SCHEMA["$defs"]["DnsSource"], "discovery[]."))
    | dict(leaves(SCHEMA["$defs"]["KubernetesSource"], "discovery[]."))
    | dict(leaves(SCHEMA["$defs"]["RegisterSource"], "discovery[]."))
    | dict(leaves(SCHEMA["$defs"]["Cluster"], "cluster."))
    | dict(leaves(SCHEMA["$defs"]["GatewaySettings"], "gateway."))
)
PAGE = (DOCS / "settings.md").read_text(encoding="utf-8")
ROWS = {key: (default, allowed) for key, default, allowed, _ in ROW.findall(PAGE)}


def default_of(key: str, field: dict[str, Any]) -> str:
    if key in {"servers[].headers", "discovery[].headers", "listen.tokens", "gateway.tokens"}:
        return "`{}`"
    return f"`{json.dumps(field['default'])}`" if "default" in field else "required"


@pytest.mark.parametrize("key", SETTINGS)
def test_setting_is_documented_with_default_and_range(key: str) -> None:
    field = SETTINGS[key]
    assert key in ROWS, f"docs/settings.md has no row for {key}"
    default, allowed = ROWS[key]
    assert default == default_of(key, field)
    if "minimum" in field:
        assert allowed == f"{field['minimum']} to {field['maximum']}"
    for word in field.get("enum", ()):
        assert f"`{json.dumps(word)}`" in allowed


def test_settings_page_documents_only_existing_keys() -> None:
    assert {key for key in ROWS if "://" not in key} == set(SETTINGS)


def test_settings_have_descriptions_and_numbers_have_ranges() -> None:
    without = [key for key, field in SETTINGS.items() if not field.get("description")]
    unbounded = [
        key
        for key, field in SETTINGS.items()
        if field.get("type") in {"integer", "number"}
        and not ("enum" in field or {"minimum", "maximum"} <= field.keys())
    ]
    assert (without, unbounded) == ([], [])


def test_committed_schema_is_current() -> None:
    committed = json.loads((REPOSITORY / "settings.schema.json").read_text(encoding="utf-8"))
    assert committed == json.loads(json.dumps(SCHEMA)), "run `make docs`"


@pytest.mark.parametrize("data", [CONTRACT_EXAMPLE, json.loads((REPOSITORY / "settings.json").read_text())])
def test_schema_accepts_the_examples(data: object) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(data)


def test_settings_page_example_is_valid() -> None:
    example = json.loads(PAGE.split("```json")[1].split("```")[0])
    parse_settings(example, REPOSITORY, {"COMFYWARM_TOKEN": "a", "COMFY_TOKEN": "b"})
