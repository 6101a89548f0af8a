"""Reads a binary policy of SELinux and says, as JSON: permissive domains, and which domains a guest's can become.

Run by the system's Python, which has setools: `worker.py POLICY SECONDS MEGABYTES DOMAIN,… BOOLEAN=on|off,…`. A rule
counts when its booleans, as given or else as the policy has them, let it. It judges nothing.
"""

import json
import resource
import sys
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import setools  # type: ignore[import-not-found]  # of the system's Python alone

MAX_REACHED = 512
CONSTRAINED, UNCONFINED = "mcs_constrained_type", "unconfined_domain_type"


Way = list[tuple[str, str | None, str]]
Names = defaultdict[str, set[str]]


class Policy:
    """The rules that matter for starting programs in other domains, by who they allow it."""

    def __init__(self, path: str, booleans: Mapping[str, bool]) -> None:
        self.policy = setools.SELinuxPolicy(path)
        self.booleans: dict[str, bool] = {str(one): booleans.get(str(one), one.state) for one in self.policy.bools()}
        self.attributes = {str(one): {str(name) for name in one.attributes()} for one in self.policy.types()}
        self.members = {str(one): {str(name) for name in one.expand()} for one in self.policy.typeattributes()}
        self.allowed: defaultdict[str, Names] = defaultdict(lambda: defaultdict(set))
        self.entries: Names = defaultdict(set)
        self.automatic: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        for rule in self.policy.terules():
            self._take(rule)

    def _take(self, rule: Any) -> None:  # noqa: ANN401  # setools has no types
        kind, tclass = str(rule.ruletype), str(rule.tclass)
        if tclass not in ("process", "file") or kind not in ("allow", "type_transition") or not self._counts(rule):
            return
        source, target = str(rule.source), str(rule.target)
        if kind == "type_transition":
            if tclass == "process":
                self.automatic[source].add((target, str(rule.default)))
            return
        for permission in {"transition", "dyntransition", "setexec", "setcurrent"} & set(rule.perms):
            if tclass == "process":
                self.allowed[permission][source].add(target)
        if tclass == "file" and "execute" in rule.perms:
            self.allowed["execute"][source].add(target)
        if tclass == "file" and "entrypoint" in rule.perms:
            self.entries[source].add(target)

    def _counts(self, rule: Any) -> bool:  # noqa: ANN401  # as above
        try:
            names = {str(one) for one in rule.conditional.booleans}
        except setools.exception.RuleNotConditional:
            return True
        return bool(rule.enabled(**{name: self.booleans[name] for name in names}))

    def _types(self, names: Iterable[str]) -> set[str]:
        return {one for name in names for one in self.members.get(name, {name})}

    def _of(self, table: Names, domain: str) -> set[str]:
        names = [name for source in ({domain} | self.attributes.get(domain, set())) for name in table.get(source, ())]
        return {domain if name == "self" else name for name in self._types(names)}

    def steps(self, domain: str) -> Iterator[tuple[str, str | None]]:
        """The domains that one can become at once, with the file that starts each; none for a change without one."""
        started = self._of(self.allowed["execute"], domain)
        chooses = domain in self._of(self.allowed["setexec"], domain)
        automatic = {
            (entry, default)
            for source in {domain} | self.attributes.get(domain, set())
            for target, default in self.automatic.get(source, ())
            for entry in self._types([target])
        }
        for target in sorted(self._of(self.allowed["transition"], domain) - {domain}):
            through = sorted(
                entry for entry in started & self._of(self.entries, target) if chooses or (entry, target) in automatic
            )
            if through:
                yield target, through[0]
        if domain in self._of(self.allowed["setcurrent"], domain):
            for target in sorted(self._of(self.allowed["dyntransition"], domain) - {domain}):
                yield target, None

    def reached(self, domain: str) -> dict[str, Way]:
        """Every domain that can be reached, nearest first, with the way to it."""
        found: dict[str, Way] = {}
        waiting: deque[tuple[str, Way]] = deque([(domain, [])])
        while waiting and len(found) < MAX_REACHED:
            here, way = waiting.popleft()
            for target, entry in self.steps(here):
                if target != domain and target not in found:
                    found[target] = [*way, (here, entry, target)]
                    waiting.append((target, found[target]))
        return found

    def says(self, domains: Iterable[str]) -> dict[str, object]:
        """All of it."""
        there = [domain for domain in domains if domain in self.attributes]
        return {
            "types": len(self.attributes),
            "permissive": sorted(str(one) for one in self.policy.types() if one.ispermissive),
            "domains": {domain: CONSTRAINED in self.attributes[domain] for domain in there},
            "reached": [
                {
                    "domain": domain,
                    "target": target,
                    "way": way,
                    "constrained": CONSTRAINED in self.attributes[target],
                    "unconfined": UNCONFINED in self.attributes[target],
                }
                for domain in there
                for target, way in self.reached(domain).items()
            ],
        }


def main() -> None:
    """One policy."""
    path, seconds, megabytes, domains, booleans = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
    resource.setrlimit(resource.RLIMIT_AS, (int(megabytes) << 20, int(megabytes) << 20))
    given = dict(pair.split("=", 1) for pair in booleans.split(",") if pair)
    policy = Policy(path, {name: value == "on" for name, value in given.items()})
    json.dump(policy.says(domains.split(",")), sys.stdout)


if __name__ == "__main__":
    main()
