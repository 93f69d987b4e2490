"""What every Tiendo service stands on: event log, service skeleton, database kit, clock."""
