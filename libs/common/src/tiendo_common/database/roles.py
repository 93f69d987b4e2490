"""Names in the database: each service has a role and a schema of its own."""

SERVICES = ("intake", "activation", "aggregator", "notifier")


def role_of(service: str) -> str:
    """The database role that a service connects as."""
    return f"tiendo_{service}"


def schema_of(service: str) -> str:
    """The schema that a service owns."""
    return service
