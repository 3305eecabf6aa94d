"""POST /api/groups/{group}/{action}: an operator's wish for every server of a group."""

import asyncio
from http import HTTPStatus

from aiohttp import web
from pydantic import SecretStr

from statemachine.core.operator import Action
from statemachine.web.auth import authorise
from statemachine.web.ports import WebPorts
from statemachine.web.responses import ApiError, json_response


class Groups:
    """The routes' handler."""

    def __init__(self, ports: WebPorts, token: SecretStr | None) -> None:
        self._ports = ports
        self._token = token

    async def act(self, action: Action, request: web.Request) -> web.Response:
        """POST /api/groups/{group}/{action}"""
        authorise(request, self._token)
        group = request.match_info["group"]
        asked = [view.name for view in self._ports.snapshot if view.group == group]
        passed_on = sum(await asyncio.gather(*(self._ports.operator.act(name, action) for name in asked)))
        if passed_on == 0:
            raise ApiError(HTTPStatus.NOT_FOUND, "unknown_group", f"there is no group named {group}")
        body = {"group": group, "action": action.value, "servers": passed_on}
        return json_response(body, HTTPStatus.ACCEPTED)
