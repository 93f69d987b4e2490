"""Stand-ins for the services: real processes with a real HTTP server, for tests of what supervises them.

Run as a program, this file is one of them. The environment says how it behaves:
STANDIN_NAME, TIENDO_PORT, STANDIN_ENDED (a file that gets its name when it ends in order), STANDIN_MANNER:
`well`, `fails` (says so and ends with status 3), `stubborn` (ignores SIGTERM) or `late` (never ready).
"""

import http.server
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from tiendo.folders import ClockMode
from tiendo.stack import Plan
from tiendo.supervisor import Program
from tiendo_common.database.bootstrap import SERVICES

Manners = Mapping[str, str]


def standin(name: str, port: int, folder: Path, manner: str = "well") -> Program:
    """One stand-in; `folder` gets its log and the file `ended`."""
    env = {
        "STANDIN_NAME": name,
        "STANDIN_MANNER": manner,
        "STANDIN_ENDED": str(folder / "ended"),
        "TIENDO_PORT": str(port),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    return Program(name, (sys.executable, __file__), env, port, folder / f"{name}.log")


def standin_table(plan: Plan, _clock: ClockMode, _urls: Mapping[str, str]) -> list[Program]:
    """All four services stood in for, in place of the real table."""
    return [
        standin(name, plan.port_base + offset, plan.data.logs, os.environ.get(f"STANDIN_{name}", "well"))
        for offset, name in enumerate(SERVICES)
    ]


class _Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503 if os.environ["STANDIN_MANNER"] == "late" else 200)
        self.end_headers()
        self.wfile.write(b'{"missing": ["patience"]}')


def _main() -> None:
    name, manner = os.environ["STANDIN_NAME"], os.environ["STANDIN_MANNER"]
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
