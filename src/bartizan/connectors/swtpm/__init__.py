"""Emulated TPMs: manufacture them with certificates, run them, act as the hardware around them.

For demonstrations and tests. An emulated TPM proves nothing to anyone who does not trust the machine it runs on.
"""
