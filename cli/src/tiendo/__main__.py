"""The command `tiendo`. Whoever presses Ctrl-C while it loads, which may take seconds, ends it without a word: nothing
has begun that would have to be ended in order."""

import signal


def main() -> None:
    """Entry point."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from tiendo.app import run

    signal.signal(signal.SIGINT, before)
    run()


if __name__ == "__main__":
    main()
