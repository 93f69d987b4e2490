"""The command line: one machine, one command."""
