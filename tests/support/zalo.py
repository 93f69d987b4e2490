"""Zalo as its documentation says: errors inside HTTP 200, tokens that end, refresh tokens for one use, quotas."""

import contextlib
import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

APP, SECRET, TEMPLATE, FIRST = "4021", "zalo-app-secret", "300917", "refresh-0"
#: The parameters of the registered template, and how long each may be (docs/alerts.md).
PARAMETERS = {
    "trang_thai": 30, "don_vi": 200, "chi_tieu": 200, "tinh_hinh": 200, "can_them": 200, "phu_trach": 200,
    "viec_can_lam": 200, "thoi_gian": 20, "lien_ket": 200,
}  # fmt: skip
_WORDS = {
    0: "Success",
    -108: "Phone number invalid",
    -109: "Template ID invalid",
    -118: "Zalo account not existed",
    -124: "Access token invalid",
    -133: "Template is not allowed to be sent at night",
    -141: "User rejected to receive messages from the OA",
    -144: "OA daily quota exceeded",
    -1121: "Parameter exceeds its length",
    -1122: "Parameter missing",
}


@dataclass
class ZaloDouble:
    """Both of its servers. `answers` are given to the next messages instead of what follows from the rules: a code, or
    an HTTP status with headers and a body."""

    url: str = ""
    lifetime: int = 90_000
    quota: int = 500
    accounts: set[str] = field(default_factory=set)
    answers: deque[int | tuple[int, dict[str, str], str]] = field(default_factory=deque)
    taken: list[dict[str, Any]] = field(default_factory=list)
    refreshes: int = 0
    #: Seconds that a refresh takes.
    slowness: float = 0.0
    access: str | None = None
    refresh: str = FIRST
    lock: threading.Lock = field(default_factory=threading.Lock)

    def settings(self, **more: Any) -> dict[str, Any]:
        """Of a notifier that sends through it."""
        return {
            "zalo_app_id": APP, "zalo_secret_key": SECRET, "zalo_refresh_token": FIRST, "zalo_template": TEMPLATE,
            "zalo_messages_url": self.url, "zalo_tokens_url": self.url,
        } | more  # fmt: skip

    def give_tokens(self, secret: str | None, form: dict[str, list[str]]) -> dict[str, Any]:
        """The access token before is void at once, and so is the refresh token."""
        time.sleep(self.slowness)
        with self.lock:
            self.refreshes += 1
            if secret != SECRET or form["app_id"] != [APP]:
                return {"error": -14002, "error_name": "Invalid secret key"}
            if form["grant_type"] != ["refresh_token"] or form["refresh_token"] != [self.refresh]:
                return {"error": -14014, "error_name": "Invalid refresh token"}
            self.access, self.refresh = f"access-{self.refreshes}", f"refresh-{self.refreshes}"
            return {
                "access_token": self.access,
                "refresh_token": self.refresh,
                "expires_in": str(self.lifetime),
            }

    def take(self, token: str | None, message: dict[str, Any]) -> int:
        """The code that follows from a message."""
        with self.lock:
            if token is None or token != self.access:
                return -124
            if self.answers and isinstance(self.answers[0], int):
                return int(self.answers.popleft())  # type: ignore[arg-type]
            if not message["phone"].startswith("84"):
                return -108
            if message["template_id"] != TEMPLATE:
                return -109
            if message["phone"] not in self.accounts:
                return -118
            data = message["template_data"]
            if any(not data.get(name) for name in PARAMETERS):
                return -1122
            if (
                any(len(data[name]) > most for name, most in PARAMETERS.items())
                or data.keys() != PARAMETERS.keys()
            ):
                return -1121
            if len(self.taken) >= self.quota:
                return -144
            self.taken.append(message)
            return 0


@contextlib.contextmanager
def zalo() -> Iterator[ZaloDouble]:
    """It, on loopback."""
    double = ZaloDouble()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # the library looks for this name
            content = self.rfile.read(int(self.headers["content-length"]))
            status, headers, body = 200, {}, ""
            if self.path == "/v4/oa/access_token":
                given = double.give_tokens(self.headers["secret_key"], parse_qs(content.decode()))
                body = json.dumps(given)
            elif double.answers and isinstance(double.answers[0], tuple):
                status, headers, body = double.answers.popleft()  # type: ignore[misc]
            else:
                assert self.path == "/message/template"
                code = double.take(self.headers["access_token"], json.loads(content))
                data = {"msg_id": "1", "quota": {"dailyQuota": str(double.quota)}} if code == 0 else None
                body = json.dumps({"error": code, "message": _WORDS.get(code, "?"), "data": data})
            self.send_response(status)
            for name, value in (headers | {"content-length": str(len(body.encode()))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        double.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield double
        finally:
            server.shutdown()
