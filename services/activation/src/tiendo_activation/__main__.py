"""`python -m tiendo_activation` runs the service."""

import gc

if __name__ == "__main__":
    gc.disable()  # what is imported stays: to look for garbage in it is a tenth of a start; `serve` turns it on again
    from tiendo_activation.main import main

    main()
