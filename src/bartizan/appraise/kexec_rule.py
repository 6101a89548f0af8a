"""IMA policies that an appraisal policy names: under them no kernel is started by kexec unmeasured. It reads no files.

The kernel measures a policy file that is loaded by its path (func POLICY_CHECK, a rule of ima_policy=tcb). It takes one
policy, or lets rules only be added behind it (CONFIG_IMA_WRITE_POLICY), and the first rule that fits decides. So once
the named policy is loaded, root cannot start a kernel, initramfs or command line that IMA does not measure. That it was
loaded, and not only read, stands in no entry: naming it is the word of whoever puts the appraisal policy in force that
the known code of these machines loads it before anybody can log in.
"""

import re
from collections.abc import Iterable

from bartizan.errors import PolicyError
from bartizan.model.ima import ImaEntry
from bartizan.model.policy import KexecRule, Policy
from bartizan.verify.ima_replay import computable
from bartizan.verify.ima_start import hash_named

KEXEC_FUNCTIONS = frozenset({"KEXEC_KERNEL_CHECK", "KEXEC_INITRAMFS_CHECK", "KEXEC_CMDLINE"})
CODE_FUNCTIONS = (frozenset({"BPRM_CHECK"}), frozenset({"MMAP_CHECK", "FILE_MMAP"}), frozenset({"MODULE_CHECK"}))
"""What must be measured too, for the policy takes the place of ima_policy=tcb; FILE_MMAP is MMAP_CHECK's old name."""
EXECUTED = frozenset({"mask=MAY_EXEC", "mask=^MAY_EXEC"})
TEXT = re.compile(rb"(?:[\t -~]*\n)*")
"""What the kernel and everybody else take for the same lines and words; ima_parse_rule() in ima_policy.c."""
DECIDING = frozenset({"measure", "dont_measure"})


def check_kexec_rule(rule: KexecRule) -> None:
    """Refuse an IMA policy that leaves a kexec or executed code unmeasured.

    Raises:
        PolicyError: no name, a text that the kernel could read otherwise, or which function of IMA is not measured
            without a condition.
    """
    if not rule.name.strip():
        raise PolicyError("a name is needed")
    if not TEXT.fullmatch(rule.ima_policy):
        raise PolicyError("lines of printable ASCII expected, each with its end")
    lines = (line.split() for line in rule.ima_policy.decode("ascii").split("\n"))
    rules = [words for words in lines if words and words[0] in DECIDING]
    for function in sorted(KEXEC_FUNCTIONS):
        first = next((words for words in rules if _may_concern(words, function)), [])
        if first != ["measure", f"func={function}"]:
            said = " ".join(first)[:80] or "no rule"
            raise PolicyError(f"the first rule for {function} must be 'measure func={function}', found: {said}")
    for functions in CODE_FUNCTIONS:
        if not any(_measures_code(words, functions) for words in rules):
            raise PolicyError(f"no rule measures {' or '.join(sorted(functions))} of every file")


def _may_concern(words: list[str], function: str) -> bool:
    named = [word.removeprefix("func=") for word in words if word.startswith("func=")]
    return not named or function in named


def _measures_code(words: list[str], functions: frozenset[str]) -> bool:
    """It measures this function without a condition but that the file is executed."""
    action, *conditions = words
    named = {f"func={function}" for function in functions}
    return action == "measure" and bool(named & set(conditions)) and set(conditions) <= named | EXECUTED


def measured_rules(policy: Policy, labels: Iterable[str]) -> dict[tuple[str, bytes], KexecRule]:
    """The named IMA policies by what IMA says of their files, in these algorithms; labels: as in a list."""
    algs = {label: alg for label in labels if (alg := hash_named(label)) is not None and computable(alg)}
    return {(label, alg.digest(rule.ima_policy)): rule for label, alg in algs.items() for rule in policy.kexec}


def kexec_rule(policy: Policy, entry: ImaEntry) -> KexecRule | None:
    """The named IMA policy whose file was measured here."""
    if not policy.kexec or entry.payload:
        return None
    return measured_rules(policy, [entry.digest_alg]).get((entry.digest_alg, entry.digest))
