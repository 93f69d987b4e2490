"""Ends with 0 if the service in this container answers that it is ready, else with 1 and what it lacks."""

import os
import sys
from http.client import HTTPConnection, HTTPException

try:
    connection = HTTPConnection("127.0.0.1", int(os.environ["TIENDO_PORT"]), timeout=4)
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    if answer.status != 200:
        sys.exit(answer.read().decode(errors="replace"))
except (OSError, HTTPException) as error:
    sys.exit(f"no answer: {error}")
