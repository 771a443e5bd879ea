"""What a run uses in energy, where codecarbon is installed."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

COUNTRY = "USA"
"""codecarbon wants one for its estimate of emissions, which we don't report: only energy."""


@contextmanager
def energy_measured() -> Iterator[dict[str, Any]]:
    """Give a dict that holds ``energy_kwh`` after the block; empty without codecarbon.

    The estimate covers this machine's processors, graphics cards and memory as a whole, so it is
    too high where other work runs beside; nothing is sent or written.
    """
    facts: dict[str, Any] = {}
    if importlib.util.find_spec("codecarbon") is None:
        yield facts
        return
    from codecarbon import OfflineEmissionsTracker

    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
    tracker = OfflineEmissionsTracker(
        country_iso_code=COUNTRY, save_to_file=False, log_level="critical", allow_multiple_runs=True
    )
    tracker.start()
    try:
        yield facts
    finally:
        tracker.stop()
        facts["energy_kwh"] = float(f"{tracker.final_emissions_data.energy_consumed:.3g}")
