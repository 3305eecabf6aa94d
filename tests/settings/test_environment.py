"""`${NAME}` in strings, and that nothing which came from the environment, or is secret, is ever shown."""

import pytest
from pydantic import SecretStr

from statemachine.settings import SettingsError, parse_settings, resolve_servers
from tests.settings.samples import BASE_DIR, parse, problems

SECRET = "s3cr3t-value"


def test_references_are_replaced_in_every_string() -> None:
    settings = parse({"HOST": "192.0.2.7", "N": "a"}, servers=["http://${HOST}:8188"], workflows=["${N}-${N}"])
    assert resolve_servers(settings)[0].url == "http://192.0.2.7:8188"
    assert settings.workflows == ("a-a",)


def test_header_values_are_secrets_wherever_they_came_from() -> None:
    entry = {"url": "http://h", "headers": {"Authorization": "Bearer ${T}", "X-Plain": "in the file"}}
    settings = parse({"T": SECRET}, servers=[entry])
    (server,) = resolve_servers(settings)
    assert server.headers["Authorization"].get_secret_value() == f"Bearer {SECRET}"
    assert isinstance(server.headers["X-Plain"], SecretStr)
    assert SECRET not in repr(settings) + repr(server) + settings.model_dump_json()


def test_two_dollars_are_the_text_itself() -> None:
    assert parse(workflows=["$${X}", "$5", "a$"]).workflows == ("${X}", "$5", "a$")


def test_a_missing_variable_names_the_key_path_and_itself() -> None:
    entry = {"url": "http://h", "headers": {"Authorization": "Bearer ${COMFY_TOKEN}"}}
    (problem,) = problems(servers=["http://g", entry]).values()
    assert problem.path == "servers[1].headers.Authorization"
    assert "${COMFY_TOKEN}" in problem.found
    assert "set COMFY_TOKEN" in problem.allowed


@pytest.mark.parametrize("text", ["${", "${}", "${A B}", "${1A}", "${A"])
def test_a_malformed_reference_is_a_problem_and_not_text(text: str) -> None:
    assert "${NAME}" in problems({"A": "x"}, workflows=[text])["workflows[0]"].allowed


def test_keys_are_not_expanded() -> None:
    assert "['${A}']" in problems({"A": "language"}, **{"${A}": "en"})


def test_a_missing_variable_does_not_hide_the_other_problems() -> None:
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
def test_errors_never_show_a_secret(keys: dict[str, object]) -> None:
    with pytest.raises(SettingsError) as caught:
        parse({"S": SECRET}, **keys)
    chain = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert not [error for error in chain if SECRET in f"{error} {error!r}"]


def test_nesting_without_end_is_refused_and_does_not_exhaust_the_stack() -> None:
    data: object = "${X}"
    for _ in range(5000):
        data = [data]
    with pytest.raises(SettingsError, match="at most 16 levels"):
        parse_settings({"servers": data}, BASE_DIR, {})
