"""Failed logins are limited, and nobody locks another out."""

import pytest

from hf_cushing.app import limits
from hf_cushing.app.limits import Count, Tries


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(limits.time, "monotonic", lambda: now[0])
    return now


def fail(tries, client, reader, times):
    return [tries.wait(client, reader) for _ in range(times)]


def test_one_client_guesses_one_reader_s_code_a_few_times_and_then_waits(clock):
    tries = Tries(own=2)
    assert fail(tries, "a", "Anna", 3) == [0, 0, 60]
    clock[0] = 45.0
    assert tries.wait("a", "Anna") == 15
    clock[0] = 60.0
    assert fail(tries, "a", "Anna", 3) == [0, 0, 60]


def test_who_locked_oneself_out_locks_out_nobody_else(clock):
    tries = Tries(own=2, reader=4, everybody=6)
    fail(tries, "a", "Anna", 9)
    assert tries.wait("b", "Anna") == 0  # Anna herself, elsewhere
    assert tries.wait("a", "Eve") == 0  # who shares the computer


def test_many_clients_together_are_limited_by_reader_and_in_all(clock):
    tries = Tries(own=5, reader=4, everybody=6)
    waits = [fail(tries, client, "Anna", 3) for client in "abcdef"]
    assert waits[0] == [0, 0, 0]
    assert waits[2:] == [[0, 60, 60]] * 4  # one try each, from then on
    assert fail(tries, "a", "Eve", 2) == [0, 60]


def test_a_login_that_succeeds_is_not_counted(clock):
    tries = Tries(own=1)
    for _ in range(3):
        assert tries.wait("a", "Anna") == 0
        tries.succeed("a", "Anna")


def test_names_that_are_over_are_forgotten(clock, monkeypatch):
    monkeypatch.setattr(limits, "MOST_KEPT", 2)
    count = Count()
    for name in "abc":
        count.add(name)
    clock[0] = 61.0
    count.add("d")
    assert set(count.times) == {"d"}
