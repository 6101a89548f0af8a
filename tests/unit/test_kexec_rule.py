"""An IMA policy is named for kexec only if it leaves neither a kexec nor executed code unmeasured."""

import pytest

from bartizan.errors import PolicyError
from tests.unit.kexec_side import DOCUMENT, IMA_POLICY, policy

REFUSED = {
    "no rule for the kernel": IMA_POLICY.replace("measure func=KEXEC_KERNEL_CHECK\n", ""),
    "no rule for the initramfs": IMA_POLICY.replace("measure func=KEXEC_INITRAMFS_CHECK\n", ""),
    "no rule for the command line": IMA_POLICY.replace("measure func=KEXEC_CMDLINE\n", ""),
    "a condition": IMA_POLICY.replace("func=KEXEC_CMDLINE", "func=KEXEC_CMDLINE uid=0"),
    "an exception before it": "dont_measure func=KEXEC_CMDLINE\n" + IMA_POLICY,
    "an exception of every function before it": "dont_measure fsmagic=0x1021994\n" + IMA_POLICY,
    "another PCR": IMA_POLICY.replace("func=KEXEC_CMDLINE", "func=KEXEC_CMDLINE pcr=11"),
    "a comment in place of the rule": IMA_POLICY.replace("measure func=KEXEC_CMDLINE", "# measure func=KEXEC_CMDLINE"),
    "no rule for what is executed": IMA_POLICY.replace("measure func=BPRM_CHECK mask=MAY_EXEC\n", ""),
    "a condition for what is mapped": IMA_POLICY.replace("func=FILE_MMAP", "uid=0 func=FILE_MMAP"),
    "no rule for modules": IMA_POLICY.replace("measure func=MODULE_CHECK\n", ""),
    "modules only where they are executed": IMA_POLICY.replace("MODULE_CHECK", "MODULE_CHECK mask=MAY_EXEC"),
    "nothing": "",
}


def before_code(words: str) -> str:
    return IMA_POLICY.replace("measure func=BPRM", f"{words}\nmeasure func=BPRM")


UNSEEN = {
    "an exception of what is executed": "dont_measure func=BPRM_CHECK",
    "an exception of what is mapped": "dont_measure func=MMAP_CHECK",
    "an exception of modules": "dont_measure func=MODULE_CHECK",
    "an exception of root": "dont_measure uid=0",
    "an exception of everything": "dont_measure",
    "an exception of a real file system": "dont_measure fsmagic=0xef53",
    "an exception of a real file system by name": "dont_measure fsname=ext4",
    "an exception of tmpfs and a function": "dont_measure fsmagic=0x1021994 func=BPRM_CHECK",
    "a digest of something else first": "measure func=BPRM_CHECK digest_type=verity",
    "another PCR first": "measure func=BPRM_CHECK pcr=11",
}


@pytest.mark.parametrize("case", UNSEEN)
def test_before_a_rule_for_code_an_ima_policy_may_not_have(case: str) -> None:
    with pytest.raises(PolicyError, match=r"kexec 'ours': only what ima_policy=tcb leaves out .* may stand before"):
        policy(DOCUMENT.replace(IMA_POLICY, before_code(UNSEEN[case])))


NO_RULE = {
    "a word that is no action": "mesure func=FILE_CHECK",
    "a condition first": "func=FILE_CHECK measure",
    "a function that no kernel has": "measure func=NO_SUCH_HOOK",
    "a function without a name": "measure func=",
    "two functions": "measure func=FILE_CHECK func=POLICY_CHECK",
    "two masks": "measure func=FILE_CHECK mask=MAY_READ mask=^MAY_READ",
    "two actions": "measure audit",
    "a mask that no kernel has": "measure func=FILE_CHECK mask=MAY_LOOK",
    "a number that is none": "measure func=FILE_CHECK uid=root",
    "a file system that is no number": "dont_measure fsmagic=ext4",
    "a condition that no kernel has": "measure func=FILE_CHECK when=always",
    "a condition without a value": "measure func=FILE_CHECK obj_type=",
    "a comment behind a rule": "measure func=FILE_CHECK # all",
    "an unknown function that is appraised": "appraise func=NO_SUCH_HOOK",
}


@pytest.mark.parametrize("case", NO_RULE)
def test_a_kernel_takes_no_ima_policy_with(case: str) -> None:
    with pytest.raises(PolicyError, match="kexec 'ours': a rule of IMA expected, found: "):
        policy(DOCUMENT.replace(IMA_POLICY, before_code(NO_RULE[case])))


def test_what_ima_policy_tcb_leaves_out_and_what_concerns_no_code_may_stand_before() -> None:
    pseudo = "9fa0 62656572 64626720 01021994 1cd1 42494e4d 73636673 F97CFF8C 43415d53 27e0eb 63677270 6e736673"
    others = [
        "dont_measure fsmagic=de5e81e4",
        "dont_measure func=FILE_CHECK obj_type=var_log_t",
        "\t# a remark",
        "measure func=FILE_CHECK mask=^MAY_READ euid=0",
        "measure func=FILE_CHECK uid>999 fowner<10 permit_directio",
        "measure func=POLICY_CHECK template=ima-sig pcr=10",
        "measure func=CRITICAL_DATA label=selinux",
        "measure func=KEY_CHECK keyrings=.ima|.evm",
        "dont_appraise fsuuid=6f0c1d4e-1f2a-4b3c-8d9e-0123456789ab",
        "appraise func=MODULE_CHECK appraise_type=imasig|modsig appraise_flag=check_blacklist",
    ]
    text = before_code("\n".join([*(f"dont_measure fsmagic=0x{magic}" for magic in pseudo.split()), *others]))

    assert policy(DOCUMENT.replace(IMA_POLICY, text)).kexec[0].ima_policy == text.encode()


@pytest.mark.parametrize("case", REFUSED)
def test_an_ima_policy_is_refused_with(case: str) -> None:
    with pytest.raises(PolicyError, match=r"kexec 'ours': (the first rule|no rule measures)"):
        policy(DOCUMENT.replace(IMA_POLICY, REFUSED[case]))


@pytest.mark.parametrize("odd", ["\x0b", "\x85", "\u2028", "ä"])
def test_an_ima_policy_that_the_kernel_reads_otherwise_is_refused(odd: str) -> None:
    escaped = f"\\u{ord(odd):04x}"
    text = '"""\n' + IMA_POLICY.replace("measure func=KEXEC_CMDLINE", f"#{escaped}measure func=KEXEC_CMDLINE") + '"""'

    with pytest.raises(PolicyError, match="printable ASCII"):
        policy(DOCUMENT.replace(f"'''\n{IMA_POLICY}'''", text))


def test_an_ima_policy_needs_a_name() -> None:
    with pytest.raises(PolicyError, match="a name is needed"):
        policy(DOCUMENT.replace("name = 'ours'", "name = ' '"))


def test_what_is_appraised_or_audited_beside_says_nothing_against_a_policy() -> None:
    more = "audit func=BPRM_CHECK\n\nappraise func=KEXEC_KERNEL_CHECK\n" + IMA_POLICY.replace("FILE_MMAP", "MMAP_CHECK")

    assert policy(DOCUMENT.replace(IMA_POLICY, more)).kexec[0].ima_policy == more.encode()
