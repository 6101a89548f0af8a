"""What ships with the package, as data."""
