"""Migrations of the service's tables, run by `bartizan.store.database`."""
