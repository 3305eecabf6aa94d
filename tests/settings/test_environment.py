"""`${NAME}` in strings. Values from the environment, and secrets, are never shown."""

import pytest
from pydantic import SecretStr

from statemachine.settings import SettingsError, parse_settings, resolve_servers
from tests.settings.samples import BASE_DIR, parse, problems

SECRET = "s3cr3t-value"


def test_reference_in_any_string_is_replaced() -> None:
    settings = parse({"HOST": "192.0.2.7", "N": "a"}, servers=["http://${HOST}:8188"], workflows=["${N}-${N}"])
    assert resolve_servers(settings)[0].url == "http://192.0.2.7:8188"
    assert resolve_servers(settings)[0].workflows == ("a-a",)


def test_header_values_from_file_or_environment_are_secrets() -> None:
    entry = {"url": "http://h", "headers": {"Authorization": "Bearer ${T}", "X-Plain": "in the file"}}
    settings = parse({"T": SECRET}, servers=[entry])
    (server,) = resolve_servers(settings)
    assert server.headers["Authorization"].get_secret_value() == f"Bearer {SECRET}"
    assert isinstance(server.headers["X-Plain"], SecretStr)
    assert SECRET not in repr(settings) + repr(server) + settings.model_dump_json()


def test_reference_escaped_is_literal_text() -> None:
    settings = parse(workflows=["$${X}", "$5", "a$"])
    assert [workflow.name for workflow in settings.workflows] == ["${X}", "$5", "a$"]


def test_reference_unset_variable_names_path_and_variable() -> None:
    entry = {"url": "http://h", "headers": {"Authorization": "Bearer ${COMFY_TOKEN}"}}
    (problem,) = problems(servers=["http://g", entry]).values()
    assert str(problem) == (
        "servers[1].headers.Authorization: the environment variable COMFY_TOKEN is not set; "
        "set it, or write $${COMFY_TOKEN} for the literal text ${COMFY_TOKEN}"
    )


@pytest.mark.parametrize("text", ["${", "${}", "${A B}", "${1A}", "${A"])
def test_reference_malformed_is_refused(text: str) -> None:
    assert "${NAME}" in str(problems({"A": "x"}, workflows=[text])["workflows[0]"])


def test_reference_in_a_key_is_not_expanded() -> None:
    assert "['${A}']" in problems({"A": "language"}, **{"${A}": "en"})


def test_reference_unset_variable_keeps_other_problems() -> None:
    assert set(problems(data_dir="${NOWHERE}", language="fr")) == {"data_dir", "language"}


@pytest.mark.parametrize(
    "keys",
    [
        {"servers": ["http://${S}/?"]},
        {"servers": [{"url": "http://h/${S}?"}]},
        {"servers": ["http://h/${S}", "http://h/${S}"]},
        {"servers": [{"url": "http://a", "name": "${S}"}, {"url": "http://b", "name": "${S}"}]},
        {"servers": [{"url": "http://h", "headers": {"A": f"{SECRET}\n"}}]},
        {"servers": [{"url": "http://h", "headers": SECRET}]},
        {"servers": [f"http://user:{SECRET}@h"]},
        {"servers": [f"http://user:pa/{SECRET}@h"]},
        {"servers": [f"http://h?token={SECRET}"]},
        {"listen": {"token": f"{SECRET} with a space"}},
        {"listen": {"tokn": SECRET}},
        {"language": "${S}"},
        {"timing": {"retry_s": "${S}"}},
        {"timing": "${S}"},
    ],
)
def test_settings_error_never_shows_a_secret(keys: dict[str, object]) -> None:
    with pytest.raises(SettingsError) as caught:
        parse({"S": SECRET}, **keys)
    chain = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert not [error for error in chain if SECRET in f"{error} {error!r}"]


def test_parse_settings_deep_nesting_is_refused() -> None:
    data: object = "${X}"
    for _ in range(5000):
        data = [data]
    with pytest.raises(SettingsError, match="at most 16 levels"):
        parse_settings({"servers": data}, BASE_DIR, {})
