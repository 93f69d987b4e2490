"""`python -m tiendo_intake` runs the service."""

from tiendo_intake.main import main

main()
