"""Runs cases one after the other against one device."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp

from conformance import cases
from conformance.discovery import Prober
from conformance.feature_set import Features, check_names
from conformance.features import Discovery
from conformance.masks import Masks
from conformance.model import (
    REGISTRY,
    Case,
    Examination,
    Failure,
    NotApplicable,
    NotRun,
    Outcome,
    Settings,
    Step,
    Verdict,
)
from conformance.profiles import Holding, judge_profiles
from conformance.soap import SoapClient


@dataclass(slots=True)
class Result:
    """All that an examination found out."""

    settings: Settings
    features: Features
    outcomes: list[Outcome] = field(default_factory=list)
    profiles: list[Holding] = field(default_factory=list)
    steps: tuple[Step, ...] = ()
    """Log of the feature discovery."""

    @property
    def holds(self) -> bool:
        """Does every examined profile hold, and did no case fail?"""
        examined = [each for each in self.profiles if each.examined]
        return all(each.holds for each in examined) and not any(each.verdict is Verdict.FAIL for each in self.outcomes)


def select(only: Iterable[str] = (), documents: Iterable[str] = ()) -> list[Case]:
    """Registered cases by id (a trailing `*` stands for anything) and document, in order of ids."""
    cases.load()
    wanted, names = [each.upper() for each in only], {each.lower() for each in documents}
    for each in REGISTRY.values():
        if unknown := check_names(each.requires):
            raise ValueError(f"{each.id} requires unknown features: {', '.join(unknown)}")
    found = [
        each
        for each in REGISTRY.values()
        if (not names or each.document.lower() in names)
        and (
            not wanted or any(each.id == one or (one.endswith("*") and each.id.startswith(one[:-1])) for one in wanted)
        )
    ]
    return sorted(found, key=lambda each: (each.document, _order(each.id)))


def _order(identity: str) -> tuple[object, ...]:
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in identity.split("-"))


async def examine(
    settings: Settings,
    chosen: Iterable[Case],
    *,
    profiles: Iterable[str] = (),
    progress: Callable[[Outcome], None] | None = None,
) -> Result:
    """Discover the features, run the cases, judge the profiles."""
    masks = Masks()
    masks.add(settings.password, settings.password_for_tests)
    connector = aiohttp.TCPConnector(ssl=False, force_close=True, limit=64)
    async with aiohttp.ClientSession(
        connector=connector, timeout=aiohttp.ClientTimeout(total=None), auto_decompress=False
    ) as session:
        soap = SoapClient(session, settings.user, settings.password, settings.message_timeout)
        prober = Prober(urlsplit(settings.url).hostname or "", settings.interface, settings.discovery_timeout)
        prober.service = settings.url
        x = Examination(settings, soap, Features(), prober, masks)
        _listen(x)
        try:
            async with asyncio.timeout(max(settings.case_timeout, 300)):
                x.features = await Discovery(soap, prober, settings).run()
        except TimeoutError:
            raise Failure("the features of the device could not be discovered in time") from None
        result = Result(settings, x.features, steps=tuple(x.steps))
        lost = ""
        for each in chosen:
            outcome = Outcome(each, Verdict.NOT_RUN, lost, 0.0) if lost else await run_case(each, x)
            result.outcomes.append(outcome)
            if progress is not None:
                progress(outcome)
            if outcome.verdict is Verdict.FAIL and each.destructive and not await _answers(soap):
                lost = f"the device is out of reach since {each.id}"
    result.profiles = judge_profiles(result.features, result.outcomes, profiles)
    return result


async def _answers(soap: SoapClient) -> bool:
    try:
        await soap.call("tds", "<tds:GetSystemDateAndTime/>", auth="none", validate=False)
    except Failure:
        return False
    return True


def _listen(x: Examination) -> None:
    x.soap.note = x.note
    x.prober.note = x.note


async def run_case(case: Case, shared: Examination) -> Outcome:
    """One verdict. Whatever a case raises that is not a verdict is a failure: the examiner never passes by accident."""
    missing = sorted(each for each in case.requires if not shared.features.has(each))
    if missing:
        return Outcome(case, Verdict.NOT_APPLICABLE, missing[0], 0.0)
    if case.destructive and not shared.settings.destructive:
        return Outcome(case, Verdict.NOT_RUN, "takes the device away; ask for it with --destructive", 0.0)
    x = Examination(shared.settings, shared.soap, shared.features, shared.prober, shared.masks, case=case)
    _listen(x)
    x.soap.forget()
    verdict, why = Verdict.PASS, ""
    # A case that takes the device away waits for it again, and puts back what it changed.
    away = 5 * shared.settings.reboot_timeout if case.destructive else 0.0
    limit = case.bound or shared.settings.case_timeout + away
    try:
        async with asyncio.timeout(limit):
            await case.run(x)
    except Failure as failure:
        verdict, why = Verdict.FAIL, str(failure)
    except NotApplicable as missing_feature:
        verdict, why = Verdict.NOT_APPLICABLE, str(missing_feature)
    except NotRun as reason:
        verdict, why = Verdict.NOT_RUN, str(reason)
    except TimeoutError:
        verdict, why = Verdict.FAIL, f"not finished after {limit:g} s"
    except Exception as error:
        verdict, why = Verdict.FAIL, f"the case could not be finished: {type(error).__name__}: {error}"
    _listen(shared)
    return Outcome(case, verdict, x.masks(why), time.monotonic() - x.began, tuple(x.steps))
