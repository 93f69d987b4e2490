"""`python -m tiendo_notifier` runs the service."""

from tiendo_notifier.main import main

main()
