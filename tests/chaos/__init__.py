"""The chaos suite: the whole of Tiendo under load while its parts are killed, stopped, cut off and lied to.

`python -m tests.chaos --seeds 3 --seconds 90 --first-seed 1 --log postgres` runs it; `orchestrator.py` says how
a run goes. What a run does not show: SIGKILL takes away a process, not what the kernel holds for it, so
nothing here tests fsync. And a seed repeats the plan of faults and the lives of the citizens, not the
scheduling of the machine: run a failing one several times.
"""
