"""Tiendo on its embedded default."""

import asyncio
import socket
import sys
import time
from dataclasses import replace

import httpx2

from benchmarks.bare import Bare, activation_rows, intake_rows
from benchmarks.campaign import CAMPAIGN, campaign, prove, register, replay_whole, same_elsewhere
from benchmarks.lines import intake_lines
from benchmarks.result import Result, against
from benchmarks.single_requests import prepare, requests_a_second
from benchmarks.stack import empty_folder, fresh_stack, paused, processes
from tiendo.instance import Instance, running_instance

#: Rows of the baseline: enough for steady state, few enough for memory.
BARE_LINES = 150_000
BULK_LINES = 100_000
SINGLE_LINES = 20_000
#: Provinces with about as many communes as Kon Tum, and how many days later it is their turn: no clock goes back.
ELSEWHERE = (("06", 60), ("35", 120))


async def replay(runs: int = 3) -> list[Result]:
    """Kon Tum whole on the embedded default, against the bare rate of the same lines; memory on the way."""
    rates: list[float] = []
    bare_rates: list[float] = []
    copy_rates: list[float] = []
    peaks: dict[str, list[float]] = {}
    for _ in range(runs):
        with empty_folder() as data:
            async with running_instance(data, clock="driven") as instance:
                watch = asyncio.create_task(_watch_memory(instance, peaks))
                outcome = await replay_whole(data)
                watch.cancel()
                await asyncio.gather(watch, return_exceptions=True)
                assert all(figure["matches"] for figure in outcome["figures"]), outcome
                rates.append(outcome["lines_a_second"])
                activations = outcome["counts"]["sent"] // 4
                share = BARE_LINES * activations // outcome["counts"]["sent"]
                bare = [
                    await intake_rows(instance.database_url("intake"), BARE_LINES - share),
                    await activation_rows(instance.database_url("activation"), share),
                ]
                bare_rates.append(await _bare_rate(bare))
                copy_rates.append(await _bare_rate(bare, by_copy=True))
    results = [
        against("replay", "lines/s", rates, bare_rates, "ratio >= 0.3, strive for 0.5"),
        against("replay_against_copy", "lines/s", rates, copy_rates, "a harder baseline, no goal"),
    ]
    results += [
        Result(f"replay_memory_{service}", max(seen), "MB peak", None, None, "< 200 MB", len(seen))
        for service, seen in sorted(peaks.items())
    ]
    return results


async def memory_replays() -> list[Result]:
    """Three campaigns of the same counts into one instance, each proven at its end: the largest memory of each service
    in the last one, against that in the first."""
    peaks: dict[str, list[float]] = {}
    with empty_folder() as data:
        async with running_instance(data, clock="driven") as instance:
            later = [same_elsewhere(province, days, data.parent) for province, days in ELSEWHERE]
            for name in (CAMPAIGN, *later):
                watch = asyncio.create_task(_watch_memory(instance, peaks))
                outcome = await replay_whole(data, name)
                assert all(figure["matches"] for figure in outcome["figures"]), outcome
                verdict = await prove(data, name)
                assert verdict["clean"], verdict
                watch.cancel()
                await asyncio.gather(watch, return_exceptions=True)
    return [
        Result(
            f"memory_replays_{service}", seen[-1], "MB peak", seen[0], seen[-1] / seen[0], "< 200 MB, ratio near 1", 1,
            how=", ".join(f"{peak:.0f}" for peak in seen),
        )
        for service, seen in sorted(peaks.items())
    ]  # fmt: skip


async def bulk_intake(runs: int = 5) -> list[Result]:
    """Intake alone, in bulk, against the bare rate of the same lines."""
    rates: list[float] = []
    bare_rates: list[float] = []
    copy_rates: list[float] = []
    subject = campaign()
    for run in range(runs):
        lines = intake_lines(subject, BULK_LINES, run=run)
        async with fresh_stack() as instance:
            await register(instance, subject)
            with paused(instance, ("activation", "aggregator", "notifier")):
                rates.append(await _send_bulk(instance, lines))
                bare = await intake_rows(instance.database_url("intake"), BULK_LINES)
                bare_rates.append(await _bare_rate([bare]))
                copy_rates.append(await _bare_rate([bare], by_copy=True))
    return [
        against("bulk_intake", "lines/s", rates, bare_rates, "ratio >= 0.6"),
        against("bulk_intake_against_copy", "lines/s", rates, copy_rates, "a harder baseline, no goal"),
    ]


async def single_post(runs: int = 5) -> list[Result]:
    """Single POSTs to one intake worker, against the same skeleton answering without a database."""
    rates: list[float] = []
    skeletons: list[float] = []
    subject = campaign()
    async with fresh_stack() as instance:
        await register(instance, subject)
        with paused(instance, ("activation", "aggregator", "notifier")):
            keys_file = instance.data / "api-keys.json"
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            skeleton = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "benchmarks.skeleton", str(port), str(keys_file)
            )
            try:
                bare_url = f"http://127.0.0.1:{port}"
                await _answers(bare_url)
                for run in range(runs):
                    for url, into in ((bare_url, skeletons), (instance.url("intake"), rates)):
                        requests = [
                            prepare(url, "/v1/intakes", instance.admin_key, line)
                            for line in intake_lines(subject, SINGLE_LINES, run=run)
                        ]
                        into.append(await requests_a_second(url, requests))
            finally:
                skeleton.terminate()
                await skeleton.wait()
    return [against("single_post", "requests/s", rates, skeletons, "ratio >= 0.5")]


async def start(runs: int = 3) -> list[Result]:
    """From `tiendo up` on an empty folder to all services ready, once installed."""
    times: list[float] = []
    for _ in range(runs):
        began = time.perf_counter()
        async with fresh_stack():
            times.append(time.perf_counter() - began)
    times.sort()
    return [Result("start", times[len(times) // 2], "s", None, None, "<= 10 s", runs)]


async def _watch_memory(instance: Instance, peaks: dict[str, list[float]]) -> None:
    for seen in peaks.values():
        seen.append(0.0)
    found = processes(instance)
    for service in found:
        peaks.setdefault(service, [0.0])
    while True:
        for service, process in found.items():
            peaks[service][-1] = max(peaks[service][-1], process.memory_info().rss / 2**20)
        await asyncio.sleep(0.5)


async def _bare_rate(parts: list[Bare], *, by_copy: bool = False) -> float:
    seconds = [await replace(part, by_copy=by_copy).seconds() for part in parts]
    return sum(len(part.rows) for part in parts) / sum(seconds)


async def _send_bulk(instance: Instance, lines: list[str]) -> float:
    in_flight = asyncio.Semaphore(5)
    async with httpx2.AsyncClient(headers=instance.headers, timeout=60) as http:

        async def send(part: list[str]) -> None:
            async with in_flight:
                answer = await http.post(
                    f"{instance.url('intake')}/v1/intakes/bulk", content="\n".join(part).encode()
                )
                assert answer.content.count(b'"accepted"') == len(part), answer.text[:500]

        began = time.perf_counter()
        await asyncio.gather(*(send(lines[at : at + 4000]) for at in range(0, len(lines), 4000)))
        return len(lines) / (time.perf_counter() - began)


async def _answers(url: str) -> None:
    async with httpx2.AsyncClient() as http:
        for _ in range(200):
            try:
                await http.get(url)
            except httpx2.TransportError:
                await asyncio.sleep(0.1)
            else:
                return
    raise TimeoutError(url)
