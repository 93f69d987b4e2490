"""`python -m tiendo_notifier` runs the service."""

import gc

if __name__ == "__main__":
    gc.disable()  # what is imported stays: to look for garbage in it is a tenth of a start; `serve` turns it on again
    from tiendo_notifier.main import main

    main()
