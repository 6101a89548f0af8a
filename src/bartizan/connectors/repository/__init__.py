"""Package repositories: gpgv for signatures, and the files of a mirror, by URL or from a folder."""
