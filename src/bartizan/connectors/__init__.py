"""Adapters to the outside world, one folder each, strangers to one another."""
