"""Receivers need not be written in Python: the signatures verify with the Standard Webhooks library for Node."""

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.notifier import Endpoint, Notifier, target
from tests.support.parts import require

pytestmark = pytest.mark.anyio

LIBRARY = "standardwebhooks@1.0.0"
VERIFY = """
const { Webhook } = require("standardwebhooks");
const given = JSON.parse(require("fs").readFileSync(0, "utf-8"));
const answers = given.map(({ secret, body, headers }) => {
  try { return new Webhook(secret).verify(body, headers).type; } catch (error) { return error.message; }
});
process.stdout.write(JSON.stringify(answers));
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the library in it."""
    npm = shutil.which("npm")
    require("Node", npm is not None and shutil.which("node") is not None, "apt install nodejs npm")
    assert npm is not None
    folder = tmp_path_factory.mktemp("node")
    got = subprocess.run(
        [npm, "install", "--silent", "--no-package-lock", "--no-audit", "--no-fund", LIBRARY],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    require(f"npm's {LIBRARY}", got.returncode == 0, f"npm install {LIBRARY}: {got.stderr.strip()[:200]}")
    return folder


async def test_signatures_verify_with_the_library_for_node_and_forgeries_do_not(
    notifier: Notifier, receiver: Endpoint, node: Path
) -> None:
    old = await notifier.put_destination("province", receiver.url)
    await notifier.aggregator.publish(target())
    await notifier.close_day(1, 0)
    await notifier.settled()
    new = (await notifier.http.post("/v1/destinations/province/secret", json={})).json()["secret"]
    await notifier.http.post("/v1/destinations/province/ping")
    await notifier.settled()
    (opened, body), (pinged, ping) = receiver.received
    asked = [
        {"secret": old, "headers": opened, "body": body.decode()},
        {"secret": old, "headers": pinged, "body": ping.decode()},
        {"secret": new, "headers": pinged, "body": ping.decode()},
        {"secret": new, "headers": opened, "body": body.decode()},
        {"secret": old, "headers": opened, "body": body.decode().replace("100", "200")},
        {"secret": old, "headers": opened | {"webhook-id": "another"}, "body": body.decode()},
    ]
    ran = await asyncio.to_thread(
        subprocess.run,
        ["node", "-e", VERIFY],
        cwd=node, input=json.dumps(asked), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    forged = "No matching signature found"
    assert json.loads(ran.stdout) == ["incident.opened", "ping", "ping", forged, forged, forged]
