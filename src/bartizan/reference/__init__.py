"""Reference Values: import, propose, compare. Nothing here judges a machine."""
