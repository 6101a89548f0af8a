"""The running Verifier: what it keeps, how it judges what nodes send, and what it does by itself."""
