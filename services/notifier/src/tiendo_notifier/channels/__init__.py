"""Ways out: the log, webhooks with a guard on where they may go, letters, Zalo."""
