"""A stand-in for a service: a real process with a real HTTP server. Run as a program, a file of its own, since what
`standins.py` imports would take ten times as long to load as this.

The environment says how it behaves: STANDIN_NAME, TIENDO_PORT, STANDIN_ENDED (a file that gets its name when it ends
in order), STANDIN_MANNER: `well`, `fails` (says so and ends with status 3), `once` (well, and fails when it is started
again), `stubborn` (ignores SIGTERM) or `late` (never ready).
"""

import http.server
import os
import signal
import sys
from pathlib import Path


class _Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503 if os.environ["STANDIN_MANNER"] == "late" else 200)
        self.end_headers()
        self.wfile.write(b'{"missing": ["patience"]}')


def _main() -> None:
    name, manner = os.environ["STANDIN_NAME"], os.environ["STANDIN_MANNER"]
    if manner == "once":
        began = Path(os.environ["STANDIN_ENDED"]).with_name(f"{name}-began")
        if began.exists():
            manner = "fails"
        began.touch()
    if manner == "fails":
        sys.stderr.write("something it needs is missing\n")
        sys.exit(3)

    def end(*_: object) -> None:
        if manner == "stubborn":
            return
        with Path(os.environ["STANDIN_ENDED"]).open("a") as ended:
            ended.write(f"{name}\n")
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    http.server.HTTPServer(("127.0.0.1", int(os.environ["TIENDO_PORT"])), _Health).serve_forever()


if __name__ == "__main__":
    _main()
