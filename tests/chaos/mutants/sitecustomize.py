"""Breaks a service on purpose, from outside: on PYTHONPATH of a process, it is imported before anything else.

TIENDO_CHAOS_MUTANT names the module beside this one that does it. What is red under a mutant is what the suite would
notice if somebody broke the product so.
"""

import importlib
import os

if os.environ.get("TIENDO_CHAOS_MUTANT"):
    importlib.import_module(os.environ["TIENDO_CHAOS_MUTANT"])
