"""The nouns: frozen dataclasses over the standard library. Nothing here reads, checks or decides."""
