"""Signing keys in a PKCS#11 token: an HSM, a smart card, or software that behaves like one."""
