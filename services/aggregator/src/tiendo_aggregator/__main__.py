"""`python -m tiendo_aggregator`."""

from tiendo_aggregator.main import main

if __name__ == "__main__":
    main()
