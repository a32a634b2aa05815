"""Base Test 7.4: accounts and the remote user."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from conformance.cases.base_common import BASE, INVALID, SENDER
from conformance.model import Examination, Failure, case
from conformance.names import boolean, find, findall, text
from conformance.soap import expect_fault, expect_response

USERS = ("Device/User Configuration",)
PASSWORD, OTHER_PASSWORD = "OnvifTest123", "OnvifTest321"
"""The specification's own."""
Account = tuple[str, str]
"""Name and level."""


class TooManyUsers(Exception):
    """The device has no room: the notes of 7.4 let the case pass."""


async def get_users(x: Examination) -> dict[str, str]:
    """Level by name."""
    found = findall(await x.ask("tds", "<tds:GetUsers/>"), "tds:User")
    for each in found:
        name = text(each, "tt:Username")
        x.check(name, "GetUsersResponse has a user without Username")
        x.check(find(each, "tt:Password") is None, f"GetUsersResponse tells the password of {name} (Core 8.4.3)")
    return {text(each, "tt:Username"): text(each, "tt:UserLevel") for each in found}


def _users(operation: str, accounts: tuple[Account, ...], password: str) -> str:
    inside = "".join(
        f"<tds:User><tt:Username>{name}</tt:Username><tt:Password>{password}</tt:Password><tt:UserLevel>{level}</tt:UserLevel></tds:User>"
        for name, level in accounts
    )
    return f"<tds:{operation}>{inside}</tds:{operation}>"


def create(*accounts: Account, password: str = PASSWORD) -> str:
    return _users("CreateUsers", accounts, password)


def change(*accounts: Account, password: str = PASSWORD) -> str:
    return _users("SetUser", accounts, password)


def delete(*names: str) -> str:
    return f"<tds:DeleteUsers>{''.join(f'<tds:Username>{each}</tds:Username>' for each in names)}</tds:DeleteUsers>"


async def make(x: Examination, *accounts: Account) -> None:
    """CreateUsers; TooManyUsers where the device says so and means it (helper 9.17)."""
    count = len(await get_users(x))
    reply = await x.soap.call("tds", create(*accounts))
    if reply.fault is not None and "ter:TooManyUsers" in reply.fault.subcodes:
        limit = x.features.capability("tds", "Security", "MaxUsers")
        if limit is not None:
            room = int(limit) - count
            x.check(room < len(accounts), f"TooManyUsers with {count} users although MaxUsers is {limit} (9.17)")
        raise TooManyUsers
    expect_response(reply, "CreateUsers")


async def expect_users(x: Examination, **expected: str) -> None:
    """These accounts with these levels; an empty level stands for absence."""
    found = await get_users(x)
    for name, level in expected.items():
        x.check(found.get(name, "") == level, f"user {name} has level {found.get(name)!r}, expected {level or None!r}")


@asynccontextmanager
async def cleared(x: Examination) -> AsyncIterator[None]:
    """No OnvifTest account before and after."""

    async def clear() -> None:
        left = [name for name in await get_users(x) if name.startswith("OnvifTest")]
        if left:
            await x.ask("tds", delete(*left))

    await clear()
    try:
        yield
    except TooManyUsers:
        x.note("TooManyUsers: the case passes (notes of Base Test 7.4)")
    finally:
        await clear()


@case("DEVICE-4-1-1", document=BASE, name="SECURITY COMMAND GETUSERS", requires=USERS)
async def users(x: Examination) -> None:
    for name, level in (await get_users(x)).items():
        known = ("Administrator", "Operator", "User", "Anonymous", "Extended")
        x.check(level in known, f"user {name} has the level {level!r}")


@case("DEVICE-4-1-3", document=BASE, name="SECURITY COMMAND CREATEUSERS ERROR CASE", requires=USERS)
async def create_twice(x: Examination) -> None:
    clash = (SENDER, "ter:OperationProhibited", "ter:UsernameClash")
    async with cleared(x):
        await make(x, ("OnvifTest1", "Operator"))
        await expect_users(x, OnvifTest1="Operator")
        await x.soap.refuse("tds", create(("OnvifTest1", "User")), clash)
        await x.soap.refuse("tds", create(("OnvifTest4", "Operator"), ("OnvifTest1", "User")), clash)
        await expect_users(x, OnvifTest1="Operator", OnvifTest4="")
        await x.ask("tds", delete("OnvifTest1"))


@case("DEVICE-4-1-4", document=BASE, name="SECURITY COMMAND DELETEUSERS", requires=USERS)
async def delete_users(x: Examination) -> None:
    async with cleared(x):
        await make(x, ("OnvifTest1", "Operator"), ("OnvifTest2", "Operator"), ("OnvifTest3", "User"))
        await expect_users(x, OnvifTest1="Operator", OnvifTest2="Operator", OnvifTest3="User")
        await x.ask("tds", delete("OnvifTest1"))
        await expect_users(x, OnvifTest1="", OnvifTest2="Operator", OnvifTest3="User")
        await x.ask("tds", delete("OnvifTest2", "OnvifTest3"))
        await expect_users(x, OnvifTest1="", OnvifTest2="", OnvifTest3="")


@case("DEVICE-4-1-5", document=BASE, name="SECURITY COMMAND DELETEUSERS ERROR CASE", requires=USERS)
async def delete_missing(x: Examination) -> None:
    async with cleared(x):
        await make(x, ("OnvifTest1", "Operator"))
        await x.soap.refuse("tds", delete("OnvifTest1", "OnvifTest2"), (SENDER, INVALID, "ter:UsernameMissing"))
        await expect_users(x, OnvifTest1="Operator")
        await x.ask("tds", delete("OnvifTest1"))
        await expect_users(x, OnvifTest1="")


@case(
    "DEVICE-4-1-6",
    document=BASE,
    name="SECURITY COMMAND DELETEUSERS DELETE ALL USERS",
    requires=USERS,
    destructive=True,
)
async def delete_all(x: Examination) -> None:
    before = await get_users(x)
    if not before:
        x.note("there are no users: nothing to delete (7.4.5)")
        return
    reply = await x.soap.call("tds", delete(*before))
    if reply.fault is not None:
        expect_fault(reply, "DeleteUsers of all users", (SENDER, INVALID, "ter:FixedUser"))
        await expect_users(x, **before)
        return
    expect_response(reply, "DeleteUsers")
    # "The original user, used to access the DUT, shall be restored": the other passwords are not known here.
    user, password = x.settings.user, x.settings.password
    x.soap.forget()
    for auth in ("none", "auto"):
        try:
            await x.ask("tds", create((user, "Administrator"), password=password), auth=auth)
            return
        except Failure:
            x.soap.forget()
    x.fail(f"all users are gone and {user} could not be made again")


@case("DEVICE-4-1-7", document=BASE, name="SECURITY COMMAND SETUSER", requires=USERS)
async def set_user(x: Examination) -> None:
    async with cleared(x):
        await make(x, ("OnvifTest1", "Operator"), ("OnvifTest2", "Operator"))
        await expect_users(x, OnvifTest1="Operator", OnvifTest2="Operator")
        await x.ask("tds", change(("OnvifTest1", "Operator"), password=OTHER_PASSWORD))
        await expect_users(x, OnvifTest1="Operator", OnvifTest2="Operator")
        # Step 10 sends Operator, step 12 expects User for OnvifTest2: the level that is expected is set.
        await x.ask("tds", change(("OnvifTest1", "Operator"), ("OnvifTest2", "User"), password=OTHER_PASSWORD))
        await expect_users(x, OnvifTest1="Operator", OnvifTest2="User")
        await x.ask("tds", delete("OnvifTest1", "OnvifTest2"))


@case("DEVICE-4-1-8", document=BASE, name="SECURITY COMMAND USER MANAGEMENT ERROR CASE", requires=USERS)
async def set_missing(x: Examination) -> None:
    async with cleared(x):
        await make(x, ("OnvifTest1", "Operator"))
        await expect_users(x, OnvifTest1="Operator")
        request = change(("OnvifTest1", "User"), ("OnvifTest5", "User"))
        await x.soap.refuse("tds", request, (SENDER, INVALID, "ter:UsernameMissing"))
        await expect_users(x, OnvifTest1="Operator", OnvifTest5="")
        await x.ask("tds", delete("OnvifTest1"))
        await expect_users(x, OnvifTest1="")


@case("DEVICE-4-1-9", document=BASE, name="SECURITY COMMAND CREATEUSERS", requires=USERS)
async def create_users(x: Examination) -> None:
    made = 0
    refused: list[str] = []
    async with cleared(x):
        for name, level in (("OnvifTest1", "Operator"), ("OnvifTest2", "User"), ("OnvifTest1", "Administrator")):
            if level == "Administrator" and made:
                await x.ask("tds", delete(*[each for each in await get_users(x) if each.startswith("OnvifTest")]))
            try:
                await make(x, (name, level))
            except Failure as failure:
                # "At some DUTs it might not be possible to create user with all levels."
                refused.append(str(failure))
                continue
            await expect_users(x, **{name: level})
            made += 1
        x.check(made, f"no user of any level could be made: {'; '.join(refused)}")


# ---- remote user --------------------------------------------------------------------------------------

REMOTE = ("Device/Remote User Handling",)


async def get_remote(x: Examination) -> Any:
    found = find(await x.ask("tds", "<tds:GetRemoteUser/>"), "tds:RemoteUser")
    if found is not None:
        x.check(find(found, "tt:Password") is None, "GetRemoteUserResponse tells the password (7.4.9)")
    return found


def set_remote(name: str = "", derived: bool = False, *, password: str = "ONVIFRemotePassword") -> str:
    if not name:
        return "<tds:SetRemoteUser/>"
    secret = f"<tt:Password>{password}</tt:Password>" if password else ""
    return (
        f"<tds:SetRemoteUser><tds:RemoteUser><tt:Username>{name}</tt:Username>{secret}"
        f"<tt:UseDerivedPassword>{str(derived).lower()}</tt:UseDerivedPassword></tds:RemoteUser></tds:SetRemoteUser>"
    )


@case("DEVICE-4-1-10", document=BASE, name="GET REMOTE USER", requires=REMOTE)
async def remote_user(x: Examination) -> None:
    await get_remote(x)


@case("DEVICE-4-1-11", document=BASE, name="SET REMOTE USER", requires=REMOTE)
async def change_remote_user(x: Examination) -> None:
    name = "ONVIFRemoteUser"
    before = await get_remote(x)
    try:
        for derived in (True, False):
            await x.ask("tds", set_remote(name, derived))
            found = await get_remote(x)
            x.check(found is not None, "RemoteUser is empty after it was set")
            x.check(text(found, "tt:Username") == name, f"RemoteUser is {text(found, 'tt:Username')!r}, set was {name}")
            given = boolean(text(found, "tt:UseDerivedPassword"))
            x.check(given is derived, f"UseDerivedPassword is {given}, set was {derived}")
        await x.ask("tds", set_remote())
        x.check(await get_remote(x) is None, "RemoteUser is there although it was removed")
    finally:
        # The password of the former remote user cannot be known, so only its name comes back.
        if before is not None:
            derived_ = boolean(text(before, "tt:UseDerivedPassword"))
            await x.ask("tds", set_remote(text(before, "tt:Username"), derived_, password=""))
