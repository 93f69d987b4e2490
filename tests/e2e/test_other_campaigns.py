"""Every campaign on file, with other seeds: minutes each (`make test-long`)."""

import json
from typing import Any

import pytest

from tests.e2e.test_whole_campaign import tiendo
from tests.support.postgres import scratch_folder

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]


def replay(*arguments: str) -> dict[str, Any]:
    with scratch_folder() as folder:
        data = ("--data", str(folder / "data"))
        done = tiendo("replay", *arguments, *data, "--json")
        assert done.returncode == 0, done.stdout[:2000] + done.stderr[-2000:]
        proof = tiendo("reconcile", arguments[0], *data, "--json")
        assert proof.returncode == 0, proof.stdout[:1000]
    document = json.loads(done.stdout)
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize("seed", ["1", "7"])
def test_the_published_figures_of_binh_phuoc_come_out(seed: str) -> None:
    document = replay("binh-phuoc-2023", "--seed", seed)
    figures = {figure["id"]: figure for figure in document["figures"]}
    intake, activated = figures["intake_of_eligible"], figures["activated_of_target"]
    assert (intake["numerator"], intake["denominator"], intake["percent"]) == (607_583, 859_549, "70.68")
    assert (activated["numerator"], activated["denominator"], activated["percent"]) == (
        328_660,
        502_775,
        "65.36",
    )
    assert (intake["since_baseline"], activated["since_baseline"]) == (342_166, 220_582)


def test_another_seed_of_kon_tum_gives_the_same_figures() -> None:
    figures = replay("kon-tum-2023", "--seed", "20231111")["figures"]
    assert [figure["matches"] for figure in figures] == [True, True]
