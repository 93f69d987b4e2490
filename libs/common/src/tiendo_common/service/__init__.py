"""The skeleton of a service: settings, auth, problems, bodies, start and drain."""
