"""The ROCA fingerprint of RSA moduli (CVE-2017-15361). It recognises keys of the flawed generator and factors none.

The flawed library draws primes of the form p = k·M + (65537^a mod M), where M is the product of the first primes, 39 of
them for the shortest keys and more for longer ones (Nemec, Sys, Svenda, Klinec, Matyas: The Return of Coppersmith's
Attack, CCS 2017). A modulus N = p·q is then 65537^(a+b) mod M: modulo each small prime r that divides M, N lies in the
subgroup that 65537 generates. For most r that subgroup is everything and says nothing; the others tell.
"""

GENERATOR = 65537
LARGEST = 167
"""The 39th prime: it and all below divide M for every key length."""


def _primes_to(limit: int) -> tuple[int, ...]:
    return tuple(n for n in range(2, limit + 1) if all(n % divisor for divisor in range(2, int(n**0.5) + 1)))


def _subgroup(prime: int) -> frozenset[int]:
    """The powers of 65537 modulo this prime."""
    powers, power = {1}, GENERATOR % prime
    while power != 1:
        powers.add(power)
        power = power * GENERATOR % prime
    return frozenset(powers)


SUBGROUPS = {prime: powers for prime in _primes_to(LARGEST) if len(powers := _subgroup(prime)) < prime - 1}
"""Each small prime whose units are not all powers of 65537, with those that are."""


def is_roca(modulus: int) -> bool:
    """The modulus carries the fingerprint. A sound random one does with a probability of about 2⁻²⁸."""
    return all(modulus % prime in powers for prime, powers in SUBGROUPS.items())
