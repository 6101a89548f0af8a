"""Appraisal policies: put in, in force, out of force. What is put in force judges the whole fleet anew."""

import asyncio
import re

from sqlalchemy import Connection

from bartizan.app.service.changes import Deed, Who, change
from bartizan.app.service.refusals import Conflict, Missing, NotAllowed, Unfit
from bartizan.app.service.service import Service
from bartizan.appraise.catalogue import load_policy
from bartizan.model.policy import Policy
from bartizan.store.rules import Author, StoredPolicy, activate_policy, active_policy, add_policy, find_policy

NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")


async def upload(service: Service, who: Who, raw: bytes) -> StoredPolicy:
    """A new version of the policy that a TOML document names; it is not in force yet.

    Raises:
        Unfit, PolicyError: it is no policy.
    """
    name = (await asyncio.to_thread(named_policy, service, raw)).name
    return await change(
        service,
        who,
        lambda connection, author: add_policy(connection, name, raw, author=author),
        lambda made: Deed("policy.upload", f"policy:{made.name}", f"version {made.version}, {made.digest.hex()}"),
    )


async def activate(service: Service, who: Who, number: int) -> StoredPolicy:
    """Put a policy in force instead of the one that is.

    Raises:
        Missing: there is none. NotAllowed: the asker put it in, and two persons are asked for.
        Conflict: it is in force. PolicyError: this version of Bartizan cannot use it.
    """

    def run(connection: Connection, author: Author) -> StoredPolicy:
        found = find_policy(connection, number)
        if found is None:
            raise Missing(f"no policy {number}")
        if found.active:
            raise Conflict(f"policy {found.name} version {found.version} is in force already")
        second_person(service, found.created_by, author.account)
        named_policy(service, found.document)
        activate_policy(connection, number, approver=author.account)
        return find_policy(connection, number) or found

    def deed(made: StoredPolicy) -> Deed:
        return Deed("policy.activate", f"policy:{made.name}", f"version {made.version}, {made.digest.hex()}")

    found = await change(service, who, run, deed)
    await service.reload()
    return found


async def deactivate(service: Service, who: Who) -> None:
    """Put the policy that ships with Bartizan in force.

    Raises:
        Conflict: it is. NotAllowed: two persons are asked for, and nobody proposed this.
    """

    def run(connection: Connection, _: Author) -> StoredPolicy:
        found = active_policy(connection)
        if found is None:
            raise Conflict("the policy that ships with Bartizan is in force already")
        if service.settings.trust.two_persons:
            raise NotAllowed("trust.two_persons is set: put in the policy to go back to, for somebody else to activate")
        activate_policy(connection, None)
        return found

    def deed(former: StoredPolicy) -> Deed:
        return Deed("policy.deactivate", f"policy:{former.name}", f"version {former.version}; the shipped one instead")

    await change(service, who, run, deed)
    await service.reload()


def second_person(service: Service, first: str, second: str) -> None:
    """Nothing, if they are two, or one is enough.

    Raises:
        NotAllowed: two are asked for.
    """
    if service.settings.trust.two_persons and first == second:
        raise NotAllowed("trust.two_persons is set: somebody else than who proposed it has to put it in force")


def named_policy(service: Service, raw: bytes) -> Policy:
    """A policy that can be used.

    Raises:
        Unfit, PolicyError: it cannot.
    """
    try:
        found = load_policy(raw.decode(), service.rules.rules.catalogue, source="policy")
    except UnicodeDecodeError as error:
        raise Unfit("policy: TOML in UTF-8 expected") from error
    except RecursionError as error:
        raise Unfit("policy: nested too deeply") from error
    if NAME.fullmatch(found.name) is None:
        raise Unfit(f"policy: a name of 1 to 128 characters of A-Z a-z 0-9 . _ - expected, found {found.name[:40]!a}")
    return found
