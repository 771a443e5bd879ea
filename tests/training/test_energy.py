import sys
from types import SimpleNamespace

from hf_cushing.training import energy


def test_without_codecarbon_nothing_is_said_of_energy(monkeypatch):
    monkeypatch.setattr(energy.importlib.util, "find_spec", lambda name: None)
    with energy.energy_measured() as facts:
        pass
    assert facts == {}


def test_with_codecarbon_the_energy_is_there_after_the_block_and_nothing_is_written(monkeypatch):
    asked = []

    class Tracker:
        final_emissions_data = SimpleNamespace(energy_consumed=0.0123456)

        def __init__(self, **options):
            asked.append(options)

        def start(self):
            asked.append("start")

        def stop(self):
            asked.append("stop")

    monkeypatch.setattr(energy.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "codecarbon", SimpleNamespace(OfflineEmissionsTracker=Tracker))
    with energy.energy_measured() as facts:
        assert facts == {}
    assert facts == {"energy_kwh": 0.0123}
    assert asked[0]["save_to_file"] is False
    assert asked[1:] == ["start", "stop"]
