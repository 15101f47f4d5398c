"""A local cloud of the session's own, and one that misbehaves on request."""

import json
import secrets
import threading
from collections import deque
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from tests.localcloud.conftest import cloud, make_cloud, own_cloud

__all__ = ["cloud", "make_cloud", "own_cloud"]

PASSWORD = "canary/s3cret"


@pytest.fixture
def described(cloud):
    """The options of a server that does not exist yet; gone with the test."""
    name = f"server_{secrets.token_hex(4)}"
    yield options(name, cloud.home.api)
    if any(server["name"] == name for server in cloud.client.servers()):
        cloud.client.call("DELETE", f"/v1/clouds/new/postgres/{name}")


def options(name, api):
    return {
        "provider": "local",
        "name": name,
        "settings": {"cloud": "new", "api": str(api)},
        "version": 17,
        "admin_user": "new_admin",
        "admin_password": PASSWORD,
        "timeout": 120,
    }


class FaultyApi(ThreadingHTTPServer):
    """Stands before the real API and passes requests on, but for the faults it was told of.

    ``faults`` holds one answer a request, in order: None passes it on; a status with a body (and
    headers) is answered instead; "after" passes it on and then cuts the connection; "silence" is
    no answer at all.
    """

    daemon_threads = True

    def __init__(self, real):
        self.real = json.loads(real.read_text())
        self.faults = deque()
        self.seen = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address):
        pass  # the client's complaint is what counts


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append(self.command)
        fault = self.server.faults.popleft() if self.server.faults else None
        if fault == "silence":
            self.connection.recv(1)  # until the client has gone
            return
        if isinstance(fault, tuple):
            self.send(*fault)
            return
        status, text = self.forward(body)
        if fault == "after":
            self.connection.close()
            return
        self.send(status, text)

    do_GET = do_PUT = do_PATCH = do_POST = do_DELETE = handle_any  # noqa: N815  # http.server's

    def forward(self, body):
        address = urlsplit(self.server.real["url"])
        connection = HTTPConnection(address.hostname, address.port, timeout=30)
        headers = {"Authorization": self.headers["Authorization"]}
        connection.request(self.command, self.path, body or None, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, text

    def send(self, status, text, headers=()):
        text = text if isinstance(text, bytes) else json.dumps(text).encode()
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(text)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


@pytest.fixture
def faulty(cloud, described, tmp_path):
    """The API through a server that misbehaves; ``described`` then goes through it."""
    server = FaultyApi(cloud.home.api)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    api = tmp_path / "api.json"
    api.write_text(json.dumps({"url": server.url, "token": server.real["token"]}))
    described["settings"]["api"] = str(api)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
