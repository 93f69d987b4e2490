"""`python -m tiendo_activation` runs the service."""

from tiendo_activation.main import main

main()
