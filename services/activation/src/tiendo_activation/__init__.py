"""The activation service."""
