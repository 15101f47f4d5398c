"""The JSON API: HTTP on loopback with a bearer token, shaped like a real cloud's.

A request is checked, recorded and answered with 202; what becomes of it is read with GET.
"""

from __future__ import annotations

import hmac
import json
import re
import sys
import traceback
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from .clouds import Clouds
from .errors import InvalidRequest, LocalCloudError, NotFound
from .kubernetes import requests as cluster_requests
from .pgbouncer import requests as pooler_requests
from .requests import read_create, read_nothing, read_update

LONGEST_BODY = 1024 * 1024
REQUEST_TIMEOUT_S = 30


class Answer(NamedTuple):
    """An HTTP status and what is sent as JSON."""

    status: int
    value: dict[str, Any]


class Route(NamedTuple):
    """A method and a path's pattern; its groups are the arguments, the body the last one."""

    method: str
    path: re.Pattern[str]
    answer: Callable[..., Answer]


SERVERS = "/v1/clouds/([^/]+)/postgres"
SERVER = f"{SERVERS}/([^/]+)"
POOLERS = "/v1/clouds/([^/]+)/poolers"
POOLER = f"{POOLERS}/([^/]+)"
CLUSTERS = "/v1/clouds/([^/]+)/kubernetes"
CLUSTER = f"{CLUSTERS}/([^/]+)"


class Api:
    """Answers requests from what the clouds keep; knows nothing of sockets."""

    def __init__(self, clouds: Clouds, stop: Callable[[], None]) -> None:
        self._clouds = clouds
        self._stop = stop
        self._routes = [
            Route(method, re.compile(path), answer)
            for method, path, answer in (
                ("GET", "/v1/clouds", self._list),
                ("GET", SERVERS, self._list_servers),
                ("PUT", SERVER, self._create),
                ("GET", SERVER, self._read),
                ("PATCH", SERVER, self._update),
                ("DELETE", SERVER, self._delete),
                ("POST", f"{SERVER}/restart", self._restart),
                ("POST", f"{SERVER}/backups", self._back_up),
                ("GET", f"{SERVER}/backups", self._backups),
                ("GET", POOLERS, self._list_poolers),
                ("PUT", POOLER, self._create_pooler),
                ("GET", POOLER, self._read_pooler),
                ("DELETE", POOLER, self._delete_pooler),
                ("GET", CLUSTERS, self._list_clusters),
                ("PUT", CLUSTER, self._create_cluster),
                ("GET", CLUSTER, self._read_cluster),
                ("DELETE", CLUSTER, self._delete_cluster),
                ("POST", "/v1/shutdown", self._shut_down),
            )
        ]

    def answer(self, method: str, path: str, body: Any) -> Answer:
        """Return the answer to a request; never raise LocalCloudError."""
        try:
            return self._answer(method, path, body)
        except LocalCloudError as exc:
            return refusal(exc.status, exc.code, str(exc))

    def _answer(self, method: str, path: str, body: Any) -> Answer:
        known = [(route, found) for route in self._routes if (found := route.path.fullmatch(path))]
        for route, found in known:
            if route.method == method:
                if method in ("GET", "DELETE", "POST"):
                    read_nothing(body)
                return route.answer(*map(unquote, found.groups()), body)
        if known:
            allowed = ", ".join(route.method for route, _ in known)
            raise LocalCloudError(
                f"{method} is not offered at {path}; {allowed} is", code="method", status=405
            )
        raise NotFound(f"there is nothing at {path}")

    def _list(self, _: Any) -> Answer:
        clouds = self._clouds
        servers, poolers = clouds.servers.told(), clouds.poolers.told()
        clusters = clouds.clusters.told()
        return Answer(200, {"servers": servers, "poolers": poolers, "clusters": clusters})

    def _list_servers(self, cloud: str, _: Any) -> Answer:
        return Answer(200, {"servers": self._clouds.servers.told(cloud)})

    def _create(self, cloud: str, name: str, body: Any) -> Answer:
        begun, server = self._clouds.servers.create(cloud, name, read_create(body))
        return Answer(202 if begun else 200, server.told())

    def _read(self, cloud: str, name: str, _: Any) -> Answer:
        return Answer(200, self._clouds.servers.find(cloud, name).told())

    def _update(self, cloud: str, name: str, body: Any) -> Answer:
        return Answer(202, self._clouds.servers.update(cloud, name, read_update(body)).told())

    def _restart(self, cloud: str, name: str, _: Any) -> Answer:
        return Answer(202, self._clouds.servers.restart(cloud, name).told())

    def _delete(self, cloud: str, name: str, _: Any) -> Answer:
        return Answer(202, self._clouds.servers.delete(cloud, name).told())

    def _back_up(self, cloud: str, name: str, _: Any) -> Answer:
        return Answer(202, self._clouds.servers.find(cloud, name).request_backup().told())

    def _backups(self, cloud: str, name: str, _: Any) -> Answer:
        found = self._clouds.servers.find(cloud, name).record.backups
        return Answer(200, {"backups": [each.told() for each in list(found)]})

    def _list_poolers(self, cloud: str, _: Any) -> Answer:
        return Answer(200, {"poolers": self._clouds.poolers.told(cloud)})

    def _create_pooler(self, cloud: str, name: str, body: Any) -> Answer:
        wanted = pooler_requests.read_create(body)
        begun, pooler = self._clouds.poolers.create(cloud, name, wanted)
        return Answer(202 if begun else 200, pooler.told())

    def _read_pooler(self, cloud: str, name: str, _: Any) -> Answer:
        return Answer(200, self._clouds.poolers.find(cloud, name).told())

    def _delete_pooler(self, cloud: str, name: str, _: Any) -> Answer:
        return Answer(202, self._clouds.poolers.delete(cloud, name).told())

    def _list_clusters(self, cloud: str, _: Any) -> Answer:
        return Answer(200, {"clusters": self._clouds.clusters.told(cloud)})

    def _create_cluster(self, cloud: str, name: str, body: Any) -> Answer:
        wanted = cluster_requests.read_create(body)
        begun, cluster = self._clouds.clusters.create(cloud, name, wanted)
        return Answer(202 if begun else 200, cluster.told())

    def _read_cluster(self, cloud: str, name: str, _: Any) -> Answer:
        return Answer(200, self._clouds.clusters.find(cloud, name).told())

    def _delete_cluster(self, cloud: str, name: str, _: Any) -> Answer:
        return Answer(202, self._clouds.clusters.delete(cloud, name).told())

    def _shut_down(self, _: Any) -> Answer:
        self._stop()
        return Answer(202, {"state": "stopping"})


def refusal(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"error": {"code": code, "message": message}})


class ApiServer(ThreadingHTTPServer):
    """Listens on loopback only."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, api: Api, token: str) -> None:
        self.api = api
        self.token = token
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell the log of a client that went away in one line, of a bug in full."""
        exc = sys.exc_info()[1]
        if isinstance(exc, ConnectionError | TimeoutError):
            print(f"{client_address}: {exc}", file=sys.stderr)
        else:
            traceback.print_exc()


class Handler(BaseHTTPRequestHandler):
    """Reads one request and writes one answer."""

    protocol_version = "HTTP/1.1"
    server_version = "localcloud"
    sys_version = ""
    timeout = REQUEST_TIMEOUT_S
    server: ApiServer

    def _handle(self) -> None:
        try:
            self._send(self._answer())
        except LocalCloudError as exc:
            self.close_connection = True
            self._send(refusal(exc.status, exc.code, str(exc)))

    do_GET = do_PUT = do_PATCH = do_POST = do_DELETE = _handle  # noqa: N815  # http.server's names

    def _answer(self) -> Answer:
        given = self.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.server.token}".encode()):
            raise LocalCloudError("the token is missing or wrong", code="token", status=401)
        body = self._body()
        try:
            return self.server.api.answer(self.command, urlsplit(self.path).path, body)
        except Exception:  # a bug: the client is told that it is one, the log tells which
            traceback.print_exc()
            return refusal(500, "bug", "the local cloud has a bug; its log tells more")

    def _body(self) -> Any:
        length = self.headers.get("Content-Length", "0")
        if "chunked" in self.headers.get("Transfer-Encoding", "") or not length.isdigit():
            raise InvalidRequest("the body needs a Content-Length")
        if int(length) > LONGEST_BODY:
            raise LocalCloudError("the body is longer than 1 MB", code="invalid", status=413)
        text = self.rfile.read(int(length))
        try:
            return json.loads(text) if text else None
        except ValueError as exc:
            raise InvalidRequest(f"the body is no JSON: {exc}") from None

    def _send(self, answer: Answer) -> None:
        text = json.dumps(answer.value).encode() + b"\n"
        self.send_response(HTTPStatus(answer.status))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *arguments: Any) -> None:  # http.server's name
        """Say nothing of reads: clients poll."""
        if self.command != "GET":
            super().log_message(format, *arguments)
