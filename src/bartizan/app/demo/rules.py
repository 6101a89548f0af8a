"""The demonstration's policy: the default one, with the signer whose new kernels are accepted."""

from collections.abc import Iterable
from importlib.resources import files

HEAD = "# The policy of the demonstration: the default one and an accepted signer."
NAME = 'name = "default"'


def demo_policy(signer: str, fingerprints: Iterable[bytes]) -> str:
    """The policy as TOML. fingerprints: SHA-256 of the signer's certificates."""
    text = files("bartizan.data").joinpath("policies", "default.toml").read_text("utf-8")
    if text.count(NAME) != 1:
        raise AssertionError("the default policy names itself once")
    signers = [f'\n[[signer]]\nname = "{signer}"\nfingerprint = "{each.hex()}"\n' for each in fingerprints]
    rest = text[text.index(NAME) + len(NAME) :]
    return f'{HEAD}\n\nname = "demo"{rest}{"".join(signers)}'
