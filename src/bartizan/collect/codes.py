"""TPM 2.0 response codes in plain words, and the one error of the TPM collectors. It talks to no TPM.

The numbers are those of TPM 2.0 Library Part 2, 6.6 (Response Codes), revision 1.59.
"""

from __future__ import annotations

FORMAT_ONE = 0x080
"""Set in codes that name a handle, session or parameter; Part 2, 6.6.2."""
PARAMETER = 0x040
SESSION = 0x800

YIELDED, TESTING, RETRY = 0x908, 0x90A, 0x922
BUSY_CODES = frozenset((YIELDED, TESTING, RETRY))
"""Not refusals: the TPM did nothing yet and wants the same command again."""

HANDLE = 0x08B
LOCALITY = 0x907
INTEGRITY = 0x09F
INITIALIZE = 0x100
NV_UNINITIALIZED = 0x14A
BAD_TAG = 0x01E
"""What a TPM 1.2 says to any TPM 2.0 command; Part 2, 6.6.3, table 16."""

WORDS = {
    BAD_TAG: "the command's tag is unknown: this is a TPM 1.2",
    0x081: "the key must not be used for asymmetric cryptography like this",
    0x082: "an attribute does not allow this",
    0x083: "the hash algorithm is not supported or not fitting",
    0x084: "a value is out of range or not correct in this context",
    0x085: "the hierarchy is disabled or not fitting",
    0x087: "the key size is not supported",
    0x088: "the mask generation function is not supported",
    0x089: "the mode of operation is not supported",
    0x08A: "the type of a value is not fitting",
    HANDLE: "there is no such handle",
    0x08C: "the key derivation function is not supported",
    0x08D: "a value is out of its allowed range",
    0x08E: "the authorization failed (a password is set, or dictionary-attack protection counted a failure)",
    0x08F: "the nonce is missing or of a wrong size",
    0x090: "physical presence is required",
    0x092: "the signing or encryption scheme is not supported or not fitting",
    0x095: "a structure has the wrong size",
    0x096: "the symmetric algorithm or key size is not supported",
    0x097: "a structure has the wrong tag",
    0x098: "a union selector is not correct",
    0x09A: "the command ended before all of its values were read",
    0x09B: "the signature is not valid",
    0x09C: "the key's fields are not compatible with this use",
    0x09D: "a policy check failed",
    INTEGRITY: "the integrity check failed: the blob was not made for this TPM, key or name",
    0x0A0: "the ticket is not valid",
    0x0A1: "a reserved bit is set",
    0x0A2: "the authorization failed: a password is set",
    0x0A3: "the policy has expired",
    0x0A4: "the policy does not allow this command",
    0x0A5: "the public and the private part do not belong together",
    0x0A6: "the curve is not supported",
    0x0A7: "the point is not on the curve",
    INITIALIZE: "the TPM was already started, or not yet",
    0x101: "the TPM is in failure mode: it needs a reset, or it is broken",
    0x103: "the command came at a wrong time",
    0x120: "the command is disabled",
    0x124: "the command must not come in this kind of session",
    0x125: "an authorization is missing",
    0x126: "the authorization policy is wrong",
    0x127: "the PCR check failed",
    0x128: "PCRs have changed since they were checked",
    0x12D: "the TPM is in field-upgrade mode",
    0x12F: "this kind of authorization is not available for the object",
    0x130: "a restart of the TPM is needed",
    0x142: "the command's size is not what its header says",
    0x143: "the TPM does not know this command",
    0x144: "the authorization area has the wrong size",
    0x145: "an authorization was given to a command that takes none",
    0x146: "the NV offset and size go beyond the index",
    0x147: "the size is larger than allowed",
    0x148: "the NV index is locked",
    0x149: "the authorization does not allow access to the NV index",
    NV_UNINITIALIZED: "the NV index was never written",
    0x14B: "there is not enough NV space",
    0x14C: "the NV index or persistent object exists already",
    0x152: "the handle is not a fitting parent",
    0x153: "a self test is needed first",
    0x155: "the sensitive area did not unmarshal after decryption",
    0x901: "a context gap is too large",
    0x902: "no slot for objects is free: someone left keys loaded",
    0x903: "no slot for sessions is free: someone left sessions open",
    0x904: "the TPM is out of memory",
    0x905: "no session handle is free: someone left sessions open",
    0x906: "no object handle is free: someone left keys loaded",
    LOCALITY: "not allowed from this locality",
    YIELDED: "the TPM was interrupted and wants the command again",
    0x909: "the command was cancelled",
    TESTING: "the TPM is testing itself and wants the command again",
    0x920: "NV writes are rate-limited to spare the memory",
    0x921: "the TPM is locked out by dictionary-attack protection",
    RETRY: "the TPM could not start the command and wants it again",
    0x923: "NV memory is not accessible at present",
}


def base_code(code: int) -> int:
    """The code without the number of the handle, session or parameter it complains about."""
    return code & (FORMAT_ONE | 0x3F) if code & FORMAT_ONE else code


def culprit(code: int) -> str:
    """Which part of the command a code complains about: `" (handle 2)"`, or nothing."""
    number = code >> 8 & 0xF
    if not code & FORMAT_ONE or not number:
        return ""
    if code & PARAMETER:
        return f" (parameter {number})"
    return f" (session {number & 7})" if code & SESSION else f" (handle {number})"


def explain(code: int) -> str:
    """A response code in words; codes of other software layers are given as numbers alone."""
    return f"0x{code:03x}{culprit(code)}: {WORDS.get(base_code(code), 'refused')}"


class TpmError(Exception):
    """A TPM refused a command, did not answer, or answered with something that is no TPM 2.0 response.

    what: the command or device; code: the TPM's response code, None when none came or none could be read.
    """

    def __init__(self, what: str, why: str, *, code: int | None = None) -> None:
        super().__init__(f"{what}: {why}")
        self.what = what
        self.why = why
        self.code = code

    @classmethod
    def refused(cls, what: str, code: int) -> TpmError:
        """The error for a response code other than success."""
        return cls(what, explain(code), code=code)

    def is_about(self, code: int) -> bool:
        """The TPM's response code is this one, whatever handle or parameter it names."""
        return self.code is not None and base_code(self.code) == code
