"""Is the Evidence genuine, intact and fresh? The only creator of `Verified…` values; raises `VerifyError`."""
