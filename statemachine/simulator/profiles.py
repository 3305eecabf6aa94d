"""How each kind of simulated server behaves and misbehaves. All times are seconds before a server's own scale."""

from dataclasses import dataclass
from typing import Literal

from statemachine.simulator.nodes import PLUGIN_CLASSES, PULID_CLASSES

TextCheck = Literal["says", "starts", "html", "absent"]


@dataclass(frozen=True)
class Failure:
    """What a node raises, as `execution_error` words it."""

    exception_type: str
    message: str
    out_of_memory: bool = False


OUT_OF_MEMORY = Failure(
    "torch.OutOfMemoryError",
    "Allocation on device \nThis error means you ran out of memory on your GPU.\n\nTIPS: If the workflow worked "
    "before you might have accidentally set the batch_size to a large number.",
    out_of_memory=True,
)
RAISES = Failure("FileNotFoundError", "No such file or directory: 'models/insightface/models/antelopev2'\n")


@dataclass(frozen=True)
class Persona:
    """One kind of server. Fields that are None or 0 switch the behaviour off. `_every` is a mean interval."""

    name: str

    # What is installed
    text_check: TextCheck = "says"
    """GET /cache/check: only says, starts its own workflow as well, is an HTML page, or is not there."""
    inspire: bool = True
    """Offers the Inspire-Pack's /inspire/cache/* routes."""
    companion: bool = False
    """comfywarm's node answers GET /cache/check and tells changes on /ws. With `text_check` "starts" it starts too."""
    missing_classes: frozenset[str] = frozenset()
    model_files: bool = True
    strict_cache_node: bool = False
    """Its cache node wants an input that no workflow of today gives, so every output is refused."""
    token: str | None = None
    """Wanted as `Authorization: Bearer` or `?token=`, on /ws too."""

    # How it starts and how fast it is
    listening: bool = True
    loaded: bool = False
    load_seconds: float = 4.0
    """For each model of the mission's workflow, which has four."""
    http_delay: float = 0.0
    history_lag: float = 0.0
    """Between the success frame and the entry in history."""

    # What goes wrong
    failure: Failure | None = None
    """Raised by every node that loads a model, after its load time."""
    stall_after_models: int | None = None
    """The worker stands still for ever after so many models; HTTP goes on answering."""
    forgetful_runs: int = 0
    """So many warm-ups end with their keys dropped while the executor still holds the nodes."""
    evict_every: float | None = None
    """A user's job takes the memory: all keys and executor nodes are lost."""
    restart_every: float | None = None
    down_seconds: float = 8.0

    # Other people's work
    users_every: float | None = None
    users_seconds: float = 6.0
    chatter: bool = False
    """A `crystools.monitor` frame to everyone, once a second."""


ALL = (
    Persona("loaded", loaded=True),
    Persona("cold"),
    Persona("auto_executing", text_check="starts"),
    Persona("inspire", text_check="absent"),
    Persona("slow", load_seconds=10.0, http_delay=1.5),
    Persona("busy", users_every=8.0),
    Persona("refusing", strict_cache_node=True),
    Persona("missing_nodes", missing_classes=PULID_CLASSES),
    Persona("missing_models", model_files=False),
    Persona("out_of_memory", failure=OUT_OF_MEMORY),
    Persona("raising", failure=RAISES),
    Persona("restarting", loaded=True, restart_every=45.0),
    Persona("stalling", stall_after_models=2),
    Persona("evicting", loaded=True, evict_every=30.0),
    Persona("trapped", forgetful_runs=1),
    Persona("locked", token="let-me-in"),  # noqa: S106 - a simulated server's, not a secret
    Persona("absent", listening=False),
    Persona("stock", text_check="absent", inspire=False, missing_classes=PLUGIN_CLASSES),
    Persona("chatty", loaded=True, chatter=True),
    Persona("unrecognisable", text_check="html", inspire=False),
    Persona("node", companion=True),
    Persona("node_starting", text_check="starts", companion=True),
)
PERSONAS = {persona.name: persona for persona in ALL}
