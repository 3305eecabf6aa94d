"""The HTTP routes /api/jobs of a simulated ComfyUI."""

from http import HTTPStatus

from statemachine.simulator.http import Request, Response, json_response
from statemachine.simulator.jobs import QueryError, is_canonical
from statemachine.simulator.server import ServerModel


def get_jobs(server: ServerModel, request: Request) -> Response:
    try:
        return json_response(server.process.jobs.answer(request.query))
    except QueryError as error:
        return json_response({"error": str(error)}, HTTPStatus.BAD_REQUEST)


def get_job(server: ServerModel, request: Request) -> Response:
    job = server.process.jobs.one(request.path.removeprefix("/api/jobs/"))
    return json_response(job) if job else json_response({"error": "Job not found"}, HTTPStatus.NOT_FOUND)


def post_cancel_one(server: ServerModel, request: Request) -> Response:
    prompt_id = request.path.split("/")[3]
    return json_response({"cancelled": server.process.jobs.cancel(prompt_id, server.interrupt)})


def post_cancel(server: ServerModel, request: Request) -> Response:
    wanted = request.json()["job_ids"]
    if refused := [one for one in wanted if not is_canonical(one)]:
        error = {"error": "job_ids contains invalid id(s)", "invalid_ids": refused}
        return json_response(error, HTTPStatus.BAD_REQUEST)
    cancelled = [server.process.jobs.cancel(one, server.interrupt) for one in wanted]
    return json_response({"cancelled": any(cancelled)})
