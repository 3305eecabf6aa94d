"""The kinds of simulated servers. All durations are in seconds, before a server's scale."""

from dataclasses import dataclass
from typing import Literal

from statemachine.simulator.dialects import DEFAULT
from statemachine.simulator.nodes import PLUGIN_CLASSES, PULID_CLASSES

TextCheck = Literal["reports", "starts", "html", "absent"]


@dataclass(frozen=True)
class Failure:
    """An exception of a node, as `execution_error` reports it."""

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
class Profile:
    """One kind of server. None or 0 switches a behaviour off; fields in `_every` are mean intervals."""

    name: str

    # What is installed
    comfyui: str = DEFAULT
    """The version of ComfyUI whose dialect the server speaks."""
    text_check: TextCheck = "reports"
    """GET /cache/check only reports, also starts the own workflow, returns an HTML page, or is absent."""
    inspire: bool = True
    """Has Inspire-Pack's routes /inspire/cache/*."""
    companion: bool = False
    """comfywarm's node serves GET /cache/check and sends changes on /ws.

    With `text_check` "starts" it also starts the own workflow.
    """
    missing_classes: frozenset[str] = frozenset()
    model_files: bool = True
    strict_cache_node: bool = False
    """The cache node requires an input that no current workflow has, so every output is refused."""
    token: str | None = None
    """Required as `Authorization: Bearer` or `?token=`, on /ws too."""

    # Start and speed
    listening: bool = True
    loaded: bool = False
    load_seconds: float = 4.0
    """For each of the four models of the cache workflow."""
    http_delay: float = 0.0
    history_lag: float = 0.0
    """Delay between the success frame and the entry in history."""

    # The queue
    lists_pending: bool = True
    """GET /queue lists the pending prompts too; a gateway that holds them lists only the running one."""
    restore_after: float | None = None
    """A plug-in restores the queue of the last process, this long after a restart."""

    # Faults
    failure: Failure | None = None
    """Raised by each node that loads a model, after its load time."""
    dies_loading: bool = False
    """The process ends while a prompt loads a model; a supervisor restarts it after `down_seconds`."""
    stall_after_models: int | None = None
    """The worker stops after this many models; HTTP keeps working."""
    talks_every: float | None = None
    """A stalled worker repeats its last progress at this interval."""
    ineffective_runs: int = 0
    """This many warm-ups end without their keys, while the executor still has the nodes cached."""
    evict_every: float | None = None
    """Mean interval of users' jobs that evict all keys and all cached nodes."""
    unload_every: float | None = None
    """Mean interval at which the models are moved out of RAM and VRAM while their keys stay; with comfywarm's node."""
    small_memory: bool = False
    """VRAM is too small for the models, so that they stay in RAM."""
    restart_every: float | None = None
    down_seconds: float = 8.0

    # Other users
    users_every: float | None = None
    users_seconds: float = 6.0
    monitor_frames: bool = False
    """Send a `crystools.monitor` frame to all clients once a second."""


ALL = (
    Profile("loaded", loaded=True),
    Profile("cold"),
    Profile("auto_executing", text_check="starts"),
    Profile("inspire", text_check="absent"),
    Profile("slow", load_seconds=10.0, http_delay=1.5),
    Profile("busy", users_every=8.0),
    Profile("refusing", strict_cache_node=True),
    Profile("missing_nodes", missing_classes=PULID_CLASSES),
    Profile("missing_models", model_files=False),
    Profile("out_of_memory", failure=OUT_OF_MEMORY),
    Profile("raising", failure=RAISES),
    Profile("restarting", loaded=True, restart_every=45.0),
    Profile("dying", dies_loading=True),
    Profile("dying_by_itself", dies_loading=True, text_check="starts"),
    Profile("stalling", stall_after_models=2),
    Profile("evicting", loaded=True, evict_every=30.0),
    Profile("trapped", ineffective_runs=1),
    Profile("locked", token="let-me-in"),  # noqa: S106 - a simulated server's, not a secret
    Profile("absent", listening=False),
    Profile("stock", text_check="absent", inspire=False, missing_classes=PLUGIN_CLASSES),
    Profile("chatty", loaded=True, monitor_frames=True),
    Profile("unrecognisable", text_check="html", inspire=False),
    Profile("node", companion=True),
    Profile("unloading", companion=True, loaded=True, unload_every=30.0),
    Profile("node_starting", text_check="starts", companion=True),
)
PROFILES = {profile.name: profile for profile in ALL}
