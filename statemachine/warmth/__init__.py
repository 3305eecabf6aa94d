"""How warm the fleet was over the last hour, day and week, computed from the journal.

docs/warmth.md defines the figures. In short:

* **Warm** is the time in state `loaded`.
* **Watched** is the time in which a daemon ran and the server was in its settings and not paused. The warm share is
  warm by watched time. A gap in what is known is not watched: from the end of one run of the daemon to the server's
  first transition in the next, and between two entries of a server if the second does not start where the first ended.
* **Time to warm** runs from the verdict `cold` to `loaded` if a warm-up of ours succeeded in between. It is not
  measured if the server was unreachable, paused or not watched meanwhile.
* An **eviction** is a verdict `cold` or `auto_executing` on a server that was `loaded`, with only `unknown` and
  `checking` in between, and no restart, lost connection (which may hide a restart) or change of the settings.
* An **attempt** is counted when it ends. It is **failed** by the reason of that end, also if it succeeded and left keys
  missing. What was given up before its POST is no attempt.

Windows end now. The snapshot decides which servers exist, and in which group.
"""

from statemachine.warmth.service import Survey, Warmth, WarmthUnknownError
from statemachine.warmth.stats import Figures, Moments, Point, Scope

__all__ = ["Figures", "Moments", "Point", "Scope", "Survey", "Warmth", "WarmthUnknownError"]
