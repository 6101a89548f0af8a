"""Bytes to model and back, one file per external format; pure, bounded, total; raises `DecodeError` only."""
