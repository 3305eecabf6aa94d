"""Retry-After, the schemes of WWW-Authenticate, and redirects to a sign-in."""

from datetime import UTC, datetime

import pytest

from statemachine.comfyui.response_headers import auth_schemes, is_sign_in, retry_after_s

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
DATE = "Thu, 01 Jan 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("30", "", 30),
        (" 1.5 ", "", 1.5),
        ("0", "", 0),
        ("-5", "", 0),
        ("Thu, 01 Jan 2026 12:01:30 GMT", "", 90),
        ("Thu, 01 Jan 2026 12:01:30 GMT", "Thu, 01 Jan 2026 12:01:00 GMT", 30),
        ("Thu, 01 Jan 2026 12:01:30 GMT", "not a date", 90),
        ("Thu, 01 Jan 2026 11:00:00 GMT", DATE, 0),
        ("Thu, 01 Jan 2026 12:00:10 -0000", DATE, 10),
        ("9" * 5000, "", float("inf")),
        ("inf", "", None),
        ("Infinity", "", None),
        ("1e999", "", None),
        ("1_0", "", None),
        ("٣", "", None),
        ("0x10", "", None),
        ("10s", "", None),
        ("nan", "", None),
        ("soon", "", None),
        ("", "", None),
        ("Thu, 99 Foo 99999999999999999999 12:00:00 GMT", "", None),
    ],
)
def test_retry_after_is_seconds_or_none(value: str, date: str, seconds: float | None) -> None:
    assert retry_after_s(value, date, NOW) == seconds


@pytest.mark.parametrize(
    ("challenge", "schemes"),
    [
        ('Basic realm="ComfyUI, internal"', ("Basic",)),
        ('Bearer realm="x", error="invalid_token"', ("Bearer",)),
        ('Digest realm="x", qop="auth, auth-int", nonce="n", Basic realm="y"', ("Digest", "Basic")),
        ("Negotiate, NTLM", ("Negotiate", "NTLM")),
        ("Negotiate YII==", ("Negotiate",)),
        ("Bearer, Bearer", ("Bearer",)),
        ("", ()),
        (",,=", ()),
    ],
)
def test_auth_schemes_are_names_only(challenge: str, schemes: tuple[str, ...]) -> None:
    assert auth_schemes(challenge) == schemes


SIGN_INS = [
    "/login",
    "/auth/Login?next=x",
    "/LoginPage.html",
    "/users/sign_in",
    "/sign-in",
    "/wp-login.php",
    "/oauth2/start?rd=/",
    "/oauth2-proxy/x",
    "/_oauth",
    "/.auth/login/aad",
    "/realms/r/protocol/openid-connect/auth?client_id=x",
    "/saml2/idp/SSO",
    "/#/login",
    "/hub/api/oauth2/authorize?x",
    "/cdn-cgi/access/authorized",
    "/outpost.goauthentik.io/start?rd=x",
    "/authelia/?rd=x",
    "https://accounts.google.com/o/x",
    "https://auth.example.com/?rd=x",
    "https://team.cloudflareaccess.com/",
    "//login.example/",
    "/sessions/new",
    "/user_sessions/new?return_to=/",
    "/account/LogOn",
    "/Account/Login.aspx",
    "/login/",
    "/sso_login",
    "/user-login",
    "/auth/realms/r",
    "/login.cgi",
    "/loginform",
]
OTHERS = [
    "/authors/login-free",
    "/no-login",
    "/login-help/faq",
    "/sessions/1",
    "/new/sessions",
    "/oauth-demo-workflows",
    "/author",
    "/authors/1",
    "/oauthor",
    "/prompt?next=/login",
    "/blog/plugins",
    "/cassette/1",
    "https://author.example/prompt",
    "https://gpu.example/prompt",
    "http://[::1/login",
    "",
    "/",
]


@pytest.mark.parametrize("location", SIGN_INS)
def test_sign_in_is_recognised(location: str) -> None:
    assert is_sign_in(location)


@pytest.mark.parametrize("location", OTHERS)
def test_other_redirect_is_not_a_sign_in(location: str) -> None:
    assert not is_sign_in(location)


@pytest.mark.parametrize(
    ("requested", "location", "sign_in"),
    [
        ("http://auth.lan/prompt", "https://auth.lan/prompt", False),
        ("http://gpu1.auth.lan/prompt", "https://gpu2.auth.lan/prompt", False),
        ("http://lan/auth/prompt", "https://lan/auth/prompt", False),
        ("http://lan/auth/prompt", "https://lan/auth/prompt/", False),
        ("http://auth.lan/prompt", "https://auth.lan/login", True),
        ("http://gpu.lan/prompt", "https://auth.lan/prompt", True),
        ("http://[::1/prompt", "/login", False),
    ],
)
def test_redirect_to_what_was_requested_is_not_a_sign_in(requested: str, location: str, *, sign_in: bool) -> None:
    assert is_sign_in(location, requested) is sign_in
