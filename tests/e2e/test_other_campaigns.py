"""Every campaign on file, with other seeds: minutes each (`make test-long`)."""

import json
from typing import Any

import pytest

from tests.e2e.test_whole_campaign import tiendo
from tests.support.scratch import scratch_folder

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]


def replay(*arguments: str) -> dict[str, Any]:
    with scratch_folder() as folder:
        data = ("--data", str(folder / "data"))
        done = tiendo("replay", *arguments, *data, "--json")
        assert done.returncode == 0, done.stdout[:2000] + done.stderr[-2000:]
        said = tiendo("backtest", arguments[0], *data, "--json")
        assert said.returncode == 0, said.stderr[-2000:]
        proof = tiendo("reconcile", arguments[0], *data, "--json")
        assert proof.returncode == 0, proof.stdout[:1000]
    document = json.loads(done.stdout)
    assert isinstance(document, dict)
    document["backtest"] = json.loads(said.stdout)["indicators"]
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


@pytest.mark.parametrize("name", ["bac-lieu-2023", "dien-bien-2023", "quang-binh-2023"])
def test_what_was_published_beyond_accounts_comes_out_at_its_own_decimals(name: str) -> None:
    document = replay(name)
    assert document["measures"]
    for origins in document["backtest"].values():
        assert [each["number"] for each in origins] == [10, 20, 30, 40]
    assert all(each["matches"] for each in (*document["measures"], *document["figures"]))
    printed = {each["id"]: each for each in document["measures"]}
    if name == "bac-lieu-2023":
        assert printed["online_dossiers"]["percent_of_target"] == "105.1"
        assert [each["percent"] for each in document["figures"]] == ["112", "112"]
    elif name == "dien-bien-2023":
        [rechecked] = document["rechecks"]
        assert [(each["done"], each["units"]) for each in rechecked["rounds"]] == [(115, 115)] * 3
        assert (rechecked["corrected"], rechecked["matches"]) == ({"wrong": 2_300, "missing": 1_150}, True)
        assert printed["hamlet_groups"]["value"] == 1_447
    else:
        assert printed["cards_synchronised_with_insurance"]["percent"] == "95.1"
        assert printed["essential_services_online"]["percent"] == "92"
