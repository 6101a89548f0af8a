"""The Attester's read-only collectors: standard library only, Python 3.9."""
