"""Ways out: the log, and webhooks with a guard on where they may go."""
