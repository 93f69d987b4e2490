"""The event log: appended in the business transaction, read by position."""
