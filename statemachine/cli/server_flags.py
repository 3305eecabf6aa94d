"""What the arguments of a ComfyUI server mean for comfywarm, from `argv` in GET /system_stats.

The server accepted its arguments, so a beginning of a flag is the flag: argparse refuses beginnings of several.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from statemachine.cli.findings import Finding, care, good

MAX_SHOWN = 200
"""Characters of a value that a finding quotes."""

ANY_ADDRESS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound


@dataclass(frozen=True, slots=True)
class Argument:
    """A flag with its values, as the server was started."""

    flag: str
    values: tuple[str, ...]

    @property
    def value(self) -> str:
        """The values as text, `…` if they are long."""
        text = " ".join(self.values)
        return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _care(code: str, advice: str = "") -> Callable[[Argument], Finding | None]:
    return lambda argument: care(code, advice, flag=argument.flag, value=argument.value)


def _good(code: str) -> Callable[[Argument], Finding | None]:
    return lambda argument: good(code, flag=argument.flag, value=argument.value)


def _lru(argument: Argument) -> Finding | None:
    """A size of 0 or less leaves the default cache."""
    size = argument.value
    return _care("flag.cache_lru", "flag.cache_lru.advice")(argument) if size.isdecimal() and int(size) else None


def _listen(argument: Argument) -> Finding | None:
    """Only addresses that other machines can reach matter."""
    addresses = {one.strip() for one in " ".join(argument.values).split(",")}
    is_open = not addresses.isdisjoint(ANY_ADDRESS)
    return _care("flag.listen", "flag.listen.advice")(argument) if is_open else None


FLAGS: Mapping[str, Callable[[Argument], Finding | None]] = {
    "--cache-none": _care("flag.cache_none", "flag.cache_none.advice"),
    "--cache-lru": _lru,
    "--cache-ram": _care("flag.cache_ram", "flag.cache_ram.advice"),
    "--cache-classic": _good("flag.cache_classic"),
    "--high-ram": _good("flag.cache_classic"),
    "--disable-smart-memory": _care("flag.disable_smart_memory", "flag.disable_smart_memory.advice"),
    "--highvram": _good("flag.highvram"),
    "--gpu-only": _good("flag.highvram"),
    "--novram": _care("flag.novram", "flag.novram.advice"),
    "--cpu": _good("flag.cpu"),
    "--disable-dynamic-vram": _good("flag.disable_dynamic_vram"),
    "--multi-user": _good("flag.multi_user"),
    "--tls-keyfile": _good("flag.tls"),
    "--tls-certfile": _good("flag.tls"),
    "--disabled-nodes-config": _care("flag.disabled_nodes", "flag.disabled_nodes.advice"),
    "--disable-all-custom-nodes": _care("flag.disable_all_custom_nodes", "flag.disable_all_custom_nodes.advice"),
    "--offline": _good("flag.offline"),
    "--disable-api-nodes": _good("flag.offline"),
    "--listen": _listen,
    "--enable-cors-header": _care("flag.cors", "flag.cors.advice"),
}


def explain(argv: Sequence[object]) -> list[Finding]:
    """Return what the arguments mean here, each meaning once. The last use of a flag counts."""
    last = {argument.flag: argument for argument in _arguments([one for one in argv if isinstance(one, str)])}
    found: dict[str, Finding] = {}
    for flag, meaning in FLAGS.items():
        if flag in last and (finding := meaning(last[flag])) is not None:
            found.setdefault(finding.what.code, finding)
    return list(found.values())


def _arguments(texts: Sequence[str]) -> Iterator[Argument]:
    """Yield the flags that are known here, with the values after them."""
    for index, text in enumerate(texts):
        given, equals, value = text.partition("=")
        flag = _flag_of(given)
        if flag is not None:
            yield Argument(flag, (value,) if equals else tuple(_values_after(texts, index)))


def _flag_of(given: str) -> str | None:
    if given in FLAGS:
        return given
    matching = [flag for flag in FLAGS if given.startswith("--") and len(given) > len("--") and flag.startswith(given)]
    return matching[0] if len(matching) == 1 else None


def _values_after(texts: Sequence[str], index: int) -> Iterator[str]:
    for text in texts[index + 1 :]:
        if text.startswith("--"):
            return
        yield text
