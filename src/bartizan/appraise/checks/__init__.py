"""One function per check, paired by id with the descriptions in `data/checks`."""
