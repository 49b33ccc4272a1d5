"""A service that stops ends the calls that would last."""

import asyncio
import time

from base.settings import Settings
from engine.links import DownloadLinks
from engine.store import Store
from service.auth import TokenVerifier
from service.interceptor.admission_control import AdmissionControl, StreamLimits
from service.keys import signing_keys


async def test_a_lasting_call_that_swallows_a_cancel_does_not_hold_up_the_end(settings: Settings, store: Store) -> None:
    control = AdmissionControl(TokenVerifier.of(settings, signing_keys(settings)), StreamLimits(), DownloadLinks(store))
    swallowed = asyncio.Event()

    async def call() -> None:
        control.enter()
        try:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed.set()
            await asyncio.sleep(60)
        finally:
            control.leave()

    task = asyncio.create_task(call())
    control.lasting.add(task)
    await asyncio.sleep(0)
    control.close()
    began = time.monotonic()
    await control.wait_until_empty(10)
    assert (swallowed.is_set(), task.cancelled() or task.cancelling() > 1) == (True, True)
    assert time.monotonic() - began < 5
