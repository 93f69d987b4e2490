"""The database kit: an embedded server, its bootstrap, migrations and pools."""
