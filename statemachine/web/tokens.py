"""Which clients may act: those with a token that may act or, if no token is set, those on this machine."""

import hmac
from collections.abc import Mapping, Set
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus

from aiohttp import hdrs, web
from pydantic import SecretStr

from statemachine.settings.listen import ListenToken
from statemachine.web.local import is_local
from statemachine.web.responses import ApiError, quoted

_MISSING = "missing token; send the header 'Authorization: Bearer TOKEN' with a token of the settings"
_WRONG = "wrong token; it equals neither listen.token nor a token of listen.tokens"
_LOOPBACK_ONLY = (
    "without a token, actions are allowed only from this machine and not through a proxy; "
    "set listen.tokens to allow them from elsewhere"
)


@dataclass(frozen=True, slots=True)
class _Known:
    """A token of the settings. `name` is None for `listen.token`."""

    name: str | None
    digest: bytes
    may: str


class Tokens:
    """The tokens of the settings."""

    def __init__(self, token: SecretStr | None, named: Mapping[str, ListenToken]) -> None:
        unnamed = [] if token is None else [_Known(None, _digest(token.get_secret_value()), "act")]
        self._known = [
            *unnamed,
            *(_Known(name, _digest(one.token.get_secret_value()), one.may) for name, one in named.items()),
        ]

    def authorize(self, request: web.Request, *, registers: bool = False) -> str | None:
        """Return the name of the client's token, if it has one. Raise ApiError if the client may not act.

        With `registers` also a token that may only register servers is accepted.
        """
        if self._known:
            return self._require_token(request, {"act", "register"} if registers else {"act"})
        if not is_local(request):
            raise ApiError(HTTPStatus.FORBIDDEN, "loopback_only", _LOOPBACK_ONLY)
        return None

    def _require_token(self, request: web.Request, rights: Set[str]) -> str | None:
        given = _digest(_given(request))
        # Compare all, each in constant time.
        matching = [known for known in self._known if hmac.compare_digest(known.digest, given)]
        if not matching:
            raise _refusal(is_wrong=_given(request) != "")
        if matching[0].may not in rights:
            only = "register servers" if matching[0].may == "register" else "read"
            message = f"the token of {quoted(matching[0].name or '')} may only {only}"
            raise ApiError(HTTPStatus.FORBIDDEN, "token_may_not_act", message)
        return matching[0].name


def _refusal(*, is_wrong: bool) -> ApiError:
    """Return the error 401. The challenge of a wrong token says so (RFC 6750, section 3.1)."""
    challenge = 'Bearer error="invalid_token"' if is_wrong else "Bearer"
    headers = {"WWW-Authenticate": challenge}
    return ApiError(HTTPStatus.UNAUTHORIZED, "token_required", _WRONG if is_wrong else _MISSING, headers)


def _given(request: web.Request) -> str:
    """Return the token, if any. Two headers have none: the daemon and a proxy before it might read different ones."""
    values = request.headers.getall(hdrs.AUTHORIZATION, [])
    scheme, _, given = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    return given.strip(" ") if scheme.lower() == "bearer" else ""


def _digest(text: str) -> bytes:
    """Return a hash, so that a comparison does not depend on a token's length."""
    return sha256(text.encode("utf-8", "surrogateescape")).digest()
