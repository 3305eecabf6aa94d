"""How warm the fleet was: figures over the last hour, day and week, from the journal.

What the words mean (docs/warmth.md says the same to people):

* **Warm** is the time in state `loaded`.
* **Watched** is the time that warm is a share of: the daemon ran, the server was in its settings and not paused. Every
  state but `loaded` and `paused` is watched and not warm. While no daemon ran nothing is known, so such time is
  neither: it begins with the daemon's last sign of life (`lives` in the journal) and ends, for each server, with its
  first transition under the next. Where two entries of one server do not join (the first leads to another state than
  the second comes from), nothing is known of what lies between them.
* **Time to warm** runs from the verdict `cold` to `loaded`, where a warm-up of ours succeeded in between. It is given
  up where the server was away, paused or not watched meanwhile.
* An **eviction** is a verdict `cold` or `auto_executing` on a server that was `loaded`, with nothing but `unknown` and
  `checking` in between: no restart, no lost connection (which may hide one) and no change of the settings.
* An **attempt** is counted once, when it ends, and is **failed** by the reason of that end: one that succeeded and left
  keys missing is failed too, and so is one that was given up before its POST.

Windows slide and end now. Which servers exist, and in which group, is what the snapshot says now.
"""

from statemachine.warmth.service import Survey, Warmth, WarmthUnknownError
from statemachine.warmth.stats import Figures, Point, Scope

__all__ = ["Figures", "Point", "Scope", "Survey", "Warmth", "WarmthUnknownError"]
