"""The command `tiendo`. Whoever presses Ctrl-C while it loads, which may take seconds, ends it without a word: nothing
has begun that would have to be ended in order."""

import gc
import signal


def main() -> None:
    """Entry point."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.disable()  # what is imported stays
    from tiendo.app import run

    gc.freeze()
    gc.enable()
    signal.signal(signal.SIGINT, before)
    run()


if __name__ == "__main__":
    main()
