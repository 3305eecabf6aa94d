"""The routes /api/jobs, which ComfyUI has since 0.6: prompts of the queue and of history in one form."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from statemachine.simulator.dialects import Dialect, Feature
from statemachine.simulator.prompt_queue import Item, PromptQueue

Job = dict[str, Any]
STATUSES = ("pending", "in_progress", "completed", "failed", "cancelled")
SORTS = ("created_at", "execution_duration")
ENDS = ("execution_success", "execution_error", "execution_interrupted")


class QueryError(Exception):
    """A query of /api/jobs that ComfyUI answers with 400."""


class _Page(NamedTuple):
    offset: int
    limit: int | None


class Jobs:
    """The jobs of one process."""

    def __init__(self, queue: PromptQueue, dialect: Dialect) -> None:
        self._queue = queue
        self._shows_previewable = dialect.has(Feature.PREVIEWABLE_COUNT)

    def one(self, prompt_id: str) -> Job | None:
        """Return a job with its workflow if it has ended; None if it is unknown."""
        entry = self._queue.history.get(prompt_id)
        if entry:
            return self._ended(prompt_id, entry) | _details(entry)
        return next((self._waiting(item) for item in self._items() if item.prompt_id == prompt_id), None)

    def answer(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Return one page of jobs. Raises QueryError."""
        statuses = [one.strip().lower() for one in query.get("status", "").split(",") if one.strip()]
        if unknown := [one for one in statuses if one not in STATUSES]:
            raise QueryError(f"Invalid status value(s): {', '.join(unknown)}. Valid values: {', '.join(STATUSES)}")
        page = _page_of(query)
        found = self._sorted(query.get("sort_order", "desc").lower(), statuses or list(STATUSES))
        end = len(found) if page.limit is None else page.offset + page.limit
        jobs = found[page.offset : end]
        more = page.offset + len(jobs) < len(found)
        pagination = {"offset": page.offset, "limit": page.limit, "total": len(found), "has_more": more}
        return {"jobs": jobs, "pagination": pagination}

    def cancel(self, prompt_id: str, interrupt: Any) -> bool:
        """Cancel a running or pending job; return whether there was one."""
        running = self._queue.running
        if running and running.prompt_id == prompt_id:
            interrupt()
            return True
        return self._queue.delete(prompt_id)

    def _items(self) -> list[Item]:
        return [*([self._queue.running] if self._queue.running else []), *sorted(self._queue.pending)]

    def _sorted(self, order: str, statuses: list[str]) -> list[Job]:
        ended = [self._ended(prompt_id, entry) for prompt_id, entry in self._queue.history.items()]
        jobs = [job for job in [*map(self._waiting, self._items()), *ended] if job["status"] in statuses]
        return sorted(jobs, key=lambda job: int(job["create_time"]), reverse=order == "desc")

    def _waiting(self, item: Item) -> Job:
        status = "in_progress" if item is self._queue.running else "pending"
        return self._job(item.prompt_id, status, item.number, item.extra_data)

    def _ended(self, prompt_id: str, entry: dict[str, Any]) -> Job:
        number, _, _, extra, _ = entry["prompt"]
        messages = dict(entry["status"]["messages"])
        end = next(name for name in ENDS if name in messages)
        times = {
            "execution_start_time": messages["execution_start"]["timestamp"],
            "execution_end_time": messages[end]["timestamp"],
        }
        error = {"execution_error": messages[end]} if end == "execution_error" else {}
        status = dict(zip(ENDS, STATUSES[2:], strict=True))[end]
        return self._job(prompt_id, status, number, extra, **times, **error)

    def _job(self, prompt_id: str, status: str, number: float, extra: dict[str, Any], **more: Any) -> Job:
        job = {"id": prompt_id, "status": status, "priority": number, "create_time": extra["create_time"], **more}
        counts = {"outputs_count": 0, **({"previewable_outputs_count": 0} if self._shows_previewable else {})}
        return job | counts


def is_canonical(value: Any) -> bool:
    """Return whether a value is a UUID in lower case with hyphens."""
    try:
        return isinstance(value, str) and str(UUID(value)) == value
    except ValueError:
        return False


def _details(entry: dict[str, Any]) -> Job:
    _, _, graph, extra, _ = entry["prompt"]
    workflow = {"prompt": graph, "extra_data": extra}
    return {"outputs": entry["outputs"], "execution_status": entry["status"], "workflow": workflow}


def _page_of(query: Mapping[str, str]) -> _Page:
    if query.get("sort_by", SORTS[0]).lower() not in SORTS:
        raise QueryError("sort_by must be 'created_at' or 'execution_duration'")
    if query.get("sort_order", "desc").lower() not in {"asc", "desc"}:
        raise QueryError("sort_order must be 'asc' or 'desc'")
    limit = _number(query, "limit") if "limit" in query else None
    if limit is not None and limit <= 0:
        raise QueryError("limit must be a positive integer")
    return _Page(max(0, _number(query, "offset")) if "offset" in query else 0, limit)


def _number(query: Mapping[str, str], name: str) -> int:
    try:
        return int(query[name])
    except ValueError:
        raise QueryError(f"{name} must be an integer") from None
