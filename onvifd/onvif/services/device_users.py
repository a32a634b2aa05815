"""Device management service: users (Core 8.4) and the policies for their passwords (Core 8.5).

A part of `services.device`. Remote users and user roles are not offered, and not announced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypeVar

from onvifd.access.accounts import AccountChange, NewAccount
from onvifd.access.passwords import MAX_NAME, MAX_PASSWORD, MIN_PASSWORD, Complexity
from onvifd.access.policy import FAILURES_RANGE, MAX_HISTORY, MONITOR_RANGE, AccessPolicy, FailureWarning
from onvifd.access.types import AccessClass, Level
from onvifd.errors import InvalidArgument, NotSupported, Prohibited
from onvifd.onvif.soap.dispatch import Call, Service, operation
from onvifd.onvif.types import tds, tt

T = TypeVar("T")

READ = AccessClass.READ_SYSTEM
WRITE = AccessClass.WRITE_SYSTEM
MAX_LIST = 1024
"""Users in one request."""


class UserBackend(Protocol):
    """Accounts as the device service sees and changes them."""

    @property
    def max_users(self) -> int: ...

    def users(self) -> tuple[tuple[str, Level], ...]: ...

    async def create_users(self, accounts: tuple[NewAccount, ...], actor: str, peer: str) -> None:
        """All or none (Core 8.4.4)."""
        ...

    async def change_users(self, changes: tuple[AccountChange, ...], actor: str, peer: str) -> None:
        """All or none (Core 8.4.6)."""
        ...

    async def remove_users(self, names: tuple[str, ...], actor: str, peer: str) -> None:
        """All or none (Core 8.4.5)."""
        ...

    def policy(self) -> AccessPolicy: ...

    async def set_policy(self, decide: Callable[[AccessPolicy], AccessPolicy]) -> None: ...


class DeviceUsers(Service):
    """What `DeviceService` inherits; it sets `users_backend`. None is a device whose users cannot be changed."""

    users_backend: UserBackend | None = None

    def security_with_users(self, security: tds.SecurityCapabilities) -> tds.SecurityCapabilities:
        """The security capabilities with what is served here (Core 8.1.2.3)."""
        if self.users_backend is None:
            return security
        return replace(
            security,
            max_users=self.users_backend.max_users,
            max_user_name_length=MAX_NAME,
            max_password_length=MAX_PASSWORD,
            security_policies=("PasswordComplexity", "AuthFailureWarnings"),
            max_password_history=MAX_HISTORY,
        )

    @property
    def _accounts(self) -> UserBackend:
        if self.users_backend is None:
            raise NotSupported("The users of this device cannot be changed.")
        return self.users_backend

    def _require(self) -> None:
        """Raises NotSupported where users cannot be changed."""
        _ = self._accounts

    # ---- users

    @operation(access=WRITE)
    async def create_users(self, call: Call, request: tds.CreateUsers) -> tds.CreateUsersResponse:
        _bounded(len(request.user))
        accounts = tuple(
            # Without a password it is refused as too weak, as an empty one is.
            NewAccount(name=user.username, level=_level(user.user_level), password=user.password or "")
            for user in request.user
        )
        await self._accounts.create_users(accounts, *_who(call))
        return tds.CreateUsersResponse()

    @operation(access=WRITE)
    async def set_user(self, call: Call, request: tds.SetUser) -> tds.SetUserResponse:
        _bounded(len(request.user))
        changes = tuple(
            # Core 8.4.6: an omitted password is an empty one.
            AccountChange(name=user.username, level=_level(user.user_level), password=user.password or "")
            for user in request.user
        )
        await self._accounts.change_users(changes, *_who(call))
        return tds.SetUserResponse()

    @operation(access=WRITE)
    async def delete_users(self, call: Call, request: tds.DeleteUsers) -> tds.DeleteUsersResponse:
        _bounded(len(request.username))
        await self._accounts.remove_users(request.username, *_who(call))
        return tds.DeleteUsersResponse()

    # ---- password complexity

    @operation(access=READ)
    async def get_password_complexity_options(
        self, call: Call, request: tds.GetPasswordComplexityOptions
    ) -> tds.GetPasswordComplexityOptionsResponse:
        self._require()
        count = tt.IntRange(min_=0, max_=MAX_PASSWORD)
        return tds.GetPasswordComplexityOptionsResponse(
            min_len_range=tt.IntRange(min_=MIN_PASSWORD, max_=MAX_PASSWORD),
            uppercase_range=count,
            number_range=count,
            special_chars_range=count,
            block_username_occurrence_supported=True,
            policy_configuration_lock_supported=True,
        )

    @operation(access=READ)
    async def get_password_complexity_configuration(
        self, call: Call, request: tds.GetPasswordComplexityConfiguration
    ) -> tds.GetPasswordComplexityConfigurationResponse:
        policy = self._accounts.policy()
        rules = policy.complexity
        return tds.GetPasswordComplexityConfigurationResponse(
            min_len=rules.min_length,
            uppercase=rules.uppercase,
            number=rules.number,
            special_chars=rules.special,
            block_username_occurrence=rules.block_username,
            policy_configuration_locked=policy.locked,
        )

    @operation(access=WRITE)
    async def set_password_complexity_configuration(
        self, call: Call, request: tds.SetPasswordComplexityConfiguration
    ) -> tds.SetPasswordComplexityConfigurationResponse:
        def decide(policy: AccessPolicy) -> AccessPolicy:
            old = policy.complexity
            rules = Complexity(
                min_length=_given(request.min_len, old.min_length),
                uppercase=_given(request.uppercase, old.uppercase),
                number=_given(request.number, old.number),
                special=_given(request.special_chars, old.special),
                block_username=_given(request.block_username_occurrence, old.block_username),
            )
            return policy.with_complexity(rules, bool(request.policy_configuration_locked))

        await self._accounts.set_policy(decide)
        return tds.SetPasswordComplexityConfigurationResponse()

    # ---- password history

    @operation(access=READ)
    async def get_password_history_configuration(
        self, call: Call, request: tds.GetPasswordHistoryConfiguration
    ) -> tds.GetPasswordHistoryConfigurationResponse:
        policy = self._accounts.policy()
        return tds.GetPasswordHistoryConfigurationResponse(enabled=policy.history_enabled, length=policy.history)

    @operation(access=WRITE)
    async def set_password_history_configuration(
        self, call: Call, request: tds.SetPasswordHistoryConfiguration
    ) -> tds.SetPasswordHistoryConfigurationResponse:
        await self._accounts.set_policy(lambda policy: policy.with_history(request.enabled, request.length))
        return tds.SetPasswordHistoryConfigurationResponse()

    # ---- authentication failure warnings

    @operation(access=READ)
    async def get_auth_failure_warning_options(
        self, call: Call, request: tds.GetAuthFailureWarningOptions
    ) -> tds.GetAuthFailureWarningOptionsResponse:
        self._require()
        return tds.GetAuthFailureWarningOptionsResponse(
            monitor_period_range=tt.IntRange(min_=MONITOR_RANGE[0], max_=MONITOR_RANGE[1]),
            auth_failure_range=tt.IntRange(min_=FAILURES_RANGE[0], max_=FAILURES_RANGE[1]),
        )

    @operation(access=READ)
    async def get_auth_failure_warning_configuration(
        self, call: Call, request: tds.GetAuthFailureWarningConfiguration
    ) -> tds.GetAuthFailureWarningConfigurationResponse:
        warning = self._accounts.policy().warning
        return tds.GetAuthFailureWarningConfigurationResponse(
            enabled=warning.enabled, monitor_period=warning.period, max_auth_failures=warning.failures
        )

    @operation(access=WRITE)
    async def set_auth_failure_warning_configuration(
        self, call: Call, request: tds.SetAuthFailureWarningConfiguration
    ) -> tds.SetAuthFailureWarningConfigurationResponse:
        warning = FailureWarning(
            enabled=request.enabled, period=request.monitor_period, failures=request.max_auth_failures
        )
        await self._accounts.set_policy(lambda policy: policy.with_warning(warning))
        return tds.SetAuthFailureWarningConfigurationResponse()


def _given(value: T | None, otherwise: T) -> T:
    """What a request leaves out stays as it is."""
    return value if value is not None else otherwise


def _level(level: tt.UserLevel) -> Level:
    """The level of an account. Raises InvalidArgument for Extended: user roles are not offered (MaxUserRoles)."""
    if level is tt.UserLevel.EXTENDED:
        raise InvalidArgument("Users of level Extended are not supported.")
    return Level(level.value)


def _who(call: Call) -> tuple[str, str]:
    return (call.account.name if call.account is not None else "", call.peer)


def _bounded(count: int) -> None:
    if count > MAX_LIST:
        raise Prohibited(f"At most {MAX_LIST} users can be named at once.")
