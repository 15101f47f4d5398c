# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""JSON over HTTP with a bearer token: for providers without an SDK of their own.

The standard library's client, because the collection must run where nothing else is installed.
An answer counts only if it is JSON and small; a redirect is an error (the token would follow it);
a proxy is never asked for a loopback address. Errors carry the API's own words with the token
masked, and tell which of them may heal. Nothing here knows what the API serves.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from ..errors import ApiError, LandbridgeError, redact
from ..waiting import Deadline, retry

LIMIT_BYTES = 4 * 1024 * 1024  # no description of a server comes near; a runaway answer does
REQUEST_S = 30.0
PATIENCE_S = 30.0  # with an API that is down or answers with errors; what is busy gets the deadline

# RFC 9110, section 15: after these the same request may succeed unchanged.
RETRYABLE_STATUS = frozenset({408, 429, 500, 502, 503, 504})

# The server says that it did not act, so even a request that is no safe repeat may be repeated.
NOT_DONE_STATUS = frozenset({429, 503})

IDEMPOTENT = frozenset({"GET", "PUT", "PATCH", "DELETE"})  # our PATCH sets values, it adds none


class RefusedError(ApiError):
    """An API's answer that is not a success.

    :param error_code: the API's own word for it, such as ``operation_in_progress``.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        error_code: str,
        retry_after_s: float | None,
        retryable: bool,
    ) -> None:
        super().__init__(message, retryable=retryable, status=status)
        self.error_code = error_code
        self.retry_after_s = retry_after_s


class NoAnswerError(ApiError):
    """The API gave no answer that can be understood.

    :param sent: the request may have been acted upon.
    """

    def __init__(self, message: str, *, sent: bool, hint: str = "") -> None:
        super().__init__(message, retryable=True, hint=hint)
        self.sent = sent


class _Response(Protocol):
    status: int

    def read(self, amount: int) -> bytes: ...


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_keywords: Any) -> None:
        return None  # urllib then raises the 3xx as an HTTPError


@dataclass(frozen=True, slots=True)
class Client:
    """One API.

    >>> client = Client("cloud new", "http://127.0.0.1:4711", token, deadline)
    >>> client.call("GET", "/v1/clouds/new/postgres/shop")

    :param name: begins every message, so that the reader knows which API is meant.
    :param busy: error codes of a 409 that passes by itself, another operation being under way.
    """

    name: str
    url: str
    token: str
    deadline: Deadline
    busy: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"Client({self.name!r}, {self.url!r})"

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer's JSON object, repeating what is safe to repeat.

        Raise RefusedError for a status other than 2xx, NoAnswerError if none came that can be
        understood.
        """
        patience = self.deadline.within(PATIENCE_S)

        def repeatable(error: LandbridgeError) -> bool:
            heals = self._is_busy(error) or (error.retryable and not patience.passed)
            return heals and _safe_again(method, error)

        return retry(
            lambda: self._once(method, path, body), deadline=self.deadline, repeatable=repeatable
        )

    def _once(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        request = self._request(method, path, body)
        what = f"{self.name}: {method} {path}"
        try:
            timeout_s = max(0.1, min(REQUEST_S, self.deadline.left_s))
            with _opener(self.url).open(request, timeout=timeout_s) as response:
                return self._answer(what, response)
        except HTTPError as refused:
            with refused:
                raise self._refusal(what, refused) from None
        except (OSError, http.client.HTTPException) as exc:
            reason = getattr(exc, "reason", exc)
            raise NoAnswerError(
                self._masked(f"{what} got no answer from {self.url}: {reason}"),
                sent=not isinstance(reason, ConnectionRefusedError),
            ) from None

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None) -> Request:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        # Always the provider's API: providers.py takes no other scheme.
        return Request(self.url.rstrip("/") + path, data, headers, method=method)  # noqa: S310

    def _answer(self, what: str, response: _Response) -> dict[str, Any]:
        text = response.read(LIMIT_BYTES + 1)
        if len(text) > LIMIT_BYTES:
            raise NoAnswerError(
                f"{what} was answered with more than {LIMIT_BYTES} bytes", sent=True
            )
        if not text and response.status in (202, 204):
            return {}
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise NoAnswerError(
                f"{what} was not answered with a JSON object",
                sent=True,
                hint=f"Check that {self.url} is the API's address.",
            )
        return answer

    def _refusal(self, what: str, refused: HTTPError) -> RefusedError:
        code, message = _error_of(refused)
        status = refused.code
        return RefusedError(
            self._masked(f"{what} was refused with {status}{message and ': ' + message}"),
            status=status,
            error_code=code,
            retry_after_s=_seconds(refused.headers.get("Retry-After")),
            retryable=status in RETRYABLE_STATUS or (status == 409 and code in self.busy),
        )

    def _is_busy(self, error: LandbridgeError) -> bool:
        return (
            isinstance(error, RefusedError)
            and error.status == 409
            and error.error_code in self.busy
        )

    def _masked(self, text: str) -> str:
        return redact(text, [self.token])


def _safe_again(method: str, error: LandbridgeError) -> bool:
    if method in IDEMPOTENT:
        return True
    if isinstance(error, NoAnswerError):
        return not error.sent
    return isinstance(error, RefusedError) and (
        error.status in NOT_DONE_STATUS or error.status == 409
    )


def _error_of(refused: HTTPError) -> tuple[str, str]:
    """Return the code and message of ``{"error": {"code", "message"}}``; empty without them."""
    try:
        error = json.loads(refused.read(LIMIT_BYTES))["error"]
        return str(error["code"]), str(error["message"])
    except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError):
        return "", ""


def _seconds(retry_after: str | None) -> float | None:
    # The other form, a date, is rare and needs an agreed clock: the usual pause will do.
    return float(retry_after) if retry_after and retry_after.isdigit() else None


def _opener(url: str) -> OpenerDirector:
    direct = [ProxyHandler({})] if _loopback(urlsplit(url).hostname or "") else []
    return build_opener(_NoRedirect, *direct)


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
