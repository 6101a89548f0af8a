"""IMA policies that an appraisal policy names: under them no kernel is started by kexec unmeasured. It reads no files.

The kernel takes one policy, or lets rules only be added behind it (CONFIG_IMA_WRITE_POLICY), and the first rule that
fits decides. So once the named policy is loaded, root cannot start a kernel, initramfs or command line that IMA does
not measure. That it was loaded, and not only read, no entry of the list says, wherever it stands: the kernel measures a
file that is read as one that is loaded, and known code reads early what root has put in its way. Naming a policy is the
word of whoever puts the appraisal policy in force: every recognised initramfs loads it before anything of the machine's
disk runs, and stops where the kernel refuses it.
"""

import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from bartizan.errors import PolicyError
from bartizan.model.ima import ImaEntry
from bartizan.model.policy import KexecRule, Policy
from bartizan.verify.ima_replay import computable
from bartizan.verify.ima_start import hash_named

KEXEC_FUNCTIONS = frozenset({"KEXEC_KERNEL_CHECK", "KEXEC_INITRAMFS_CHECK", "KEXEC_CMDLINE"})
READ_FUNCTIONS = frozenset({"MODULE_CHECK"})
"""Modules are read: a rule that asks whether they are executed fits none (ima_match_rules() in ima_policy.c)."""
CODE_FUNCTIONS = (frozenset({"BPRM_CHECK"}), frozenset({"MMAP_CHECK", "FILE_MMAP"}), READ_FUNCTIONS)
"""What must be measured too, for the policy takes the place of ima_policy=tcb; FILE_MMAP is MMAP_CHECK's old name."""
OTHER_FUNCTIONS = frozenset(
    {
        "FILE_CHECK",
        "PATH_CHECK",
        "CREDS_CHECK",
        "MMAP_CHECK_REQPROT",
        "FIRMWARE_CHECK",
        "POLICY_CHECK",
        "KEY_CHECK",
        "CRITICAL_DATA",
        "SETXATTR_CHECK",
    }
)
FUNCTIONS = KEXEC_FUNCTIONS.union(*CODE_FUNCTIONS, OTHER_FUNCTIONS)
EXECUTED = frozenset({"mask=MAY_EXEC", "mask=^MAY_EXEC"})
TEXT = re.compile(rb"(?:[\t -~]*\n)*")
"""What the kernel and everybody else take for the same lines and words; ima_parse_rule() in ima_policy.c."""
DECIDING = frozenset({"measure", "dont_measure"})
ACTIONS = DECIDING | {"appraise", "dont_appraise", "audit", "hash", "dont_hash"}
CONDITION = re.compile(
    rf"func=(?:{'|'.join(sorted(FUNCTIONS))})"
    r"|mask=\^?MAY_(?:EXEC|WRITE|READ|APPEND)"
    r"|fsmagic=(?:0x)?[0-9A-Fa-f]{1,16}"
    r"|fsuuid=[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
    r"|(?:e?[ug]id|fowner|fgroup)[=<>][0-9]{1,10}"
    r"|pcr=[0-9]{1,2}"
    r"|(?:(?:obj|subj)_(?:user|role|type)|fsname|digest_type|appraise_(?:type|flag|algos)|template|keyrings|label)=[!-~]+"
    r"|permit_directio"
)
"""The conditions that kernels know (policy_tokens in ima_policy.c); with any other they refuse the whole policy."""
OPERATOR = re.compile("[=<>]")
MAGIC = "fsmagic="
MAX_SHOWN = 80
"""Characters of a rule in a sentence."""
PSEUDO = frozenset(
    {
        0x9FA0,  # proc
        0x62656572,  # sysfs
        0x64626720,  # debugfs
        0x01021994,  # tmpfs
        0x1CD1,  # devpts
        0x42494E4D,  # binfmt_misc
        0x73636673,  # securityfs
        0xF97CFF8C,  # selinuxfs
        0x43415D53,  # smackfs
        0x27E0EB,  # cgroup
        0x63677270,  # cgroup2
        0x6E736673,  # nsfs
        0xDE5E81E4,  # efivarfs
    }
)
"""What ima_policy=tcb leaves out: dont_measure_rules in ima_policy.c, numbers from include/uapi/linux/magic.h."""


def check_kexec_rule(rule: KexecRule) -> None:
    """Refuse an IMA policy that leaves a kexec, or code that ima_policy=tcb would measure, unmeasured.

    Raises:
        PolicyError: no name, a text that the kernel could read otherwise, a rule that is none, or which function of IMA
            is not measured without a condition.
    """
    if not rule.name.strip():
        raise PolicyError("a name is needed")
    if not TEXT.fullmatch(rule.ima_policy):
        raise PolicyError("lines of printable ASCII expected, each with its end")
    rules = _rules(rule.ima_policy.decode("ascii"))
    for function in sorted(KEXEC_FUNCTIONS):
        first = next((words for words in rules if _may_concern(words, {function})), [])
        if first != ["measure", f"func={function}"]:
            raise PolicyError(f"the first rule for {function} must be 'measure func={function}', found: {_said(first)}")
    for functions in CODE_FUNCTIONS:
        _check_code(rules, functions)


def _rules(text: str) -> list[list[str]]:
    """The rules that decide what is measured, as words; every other one is a rule too.

    Raises:
        PolicyError: a line that is no rule: the kernel would refuse it, and with it all of them.
    """
    lines = (line.split() for line in text.split("\n"))
    rules = [words for words in lines if words and not words[0].startswith("#")]
    for action, *conditions in rules:
        known = action in ACTIONS and all(map(CONDITION.fullmatch, conditions))
        if not known or len({OPERATOR.split(word)[0] for word in conditions}) < len(conditions):
            raise PolicyError(f"a rule of IMA expected, found: {_said([action, *conditions])}")
    return [words for words in rules if words[0] in DECIDING]


def _check_code(rules: Sequence[list[str]], functions: AbstractSet[str]) -> None:
    """Executed code of one kind is measured, and before it only what ima_policy=tcb leaves out is not.

    Raises:
        PolicyError: it is not so.
    """
    concerned = [words for words in rules if _may_concern(words, functions)]
    place = next((place for place, words in enumerate(concerned) if _measures_code(words, functions)), None)
    named = " or ".join(sorted(functions))
    if place is None:
        raise PolicyError(f"no rule measures {named} of every file")
    other = next((words for words in concerned[:place] if not _leaves_out_pseudo(words)), None)
    if other is not None:
        why = "only what ima_policy=tcb leaves out (dont_measure fsmagic=…) may stand before the rule for"
        raise PolicyError(f"{why} {named}, found: {_said(other)}")


def _said(words: Sequence[str]) -> str:
    return " ".join(words)[:MAX_SHOWN] or "no rule"


def _may_concern(words: list[str], functions: AbstractSet[str]) -> bool:
    named = [word.removeprefix("func=") for word in words if word.startswith("func=")]
    return not named or not functions.isdisjoint(named)


def _leaves_out_pseudo(words: list[str]) -> bool:
    """It leaves out one of the file systems that ima_policy=tcb leaves out, on no other condition."""
    action, *conditions = words
    magics = [int(word.removeprefix(MAGIC), 16) for word in conditions if word.startswith(MAGIC)]
    return action == "dont_measure" and len(conditions) == 1 and PSEUDO.issuperset(magics) and bool(magics)


def _measures_code(words: list[str], functions: AbstractSet[str]) -> bool:
    """It measures this function without a condition but that the file is executed."""
    action, *conditions = words
    named = {f"func={function}" for function in functions}
    may = named if functions == READ_FUNCTIONS else named | EXECUTED
    return action == "measure" and bool(named & set(conditions)) and may.issuperset(conditions)


def measured_rules(policy: Policy, labels: Iterable[str]) -> dict[tuple[str, bytes], KexecRule]:
    """The named IMA policies by what IMA says of their files, in these algorithms; labels: as in a list."""
    algs = {label: alg for label in labels if (alg := hash_named(label)) is not None and computable(alg)}
    return {(label, alg.digest(rule.ima_policy)): rule for label, alg in algs.items() for rule in policy.kexec}


def kexec_rule(policy: Policy, entry: ImaEntry) -> KexecRule | None:
    """The named IMA policy whose file was measured here."""
    if not policy.kexec or entry.payload:
        return None
    return measured_rules(policy, [entry.digest_alg]).get((entry.digest_alg, entry.digest))
