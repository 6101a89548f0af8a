"""One function per check or family of checks, paired by id with the descriptions in `data/checks`."""
