"""What is judged and how: the plan, the table of rules, the life of an incident, the words, the tries.

Pure: no I/O, no clock, no randomness. The same inputs give the same decision for ever, so the inputs that
are stored with a decision prove it.
"""
