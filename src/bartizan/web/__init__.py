"""The service over HTTP: routes, and nothing that decides."""
