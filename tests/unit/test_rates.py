"""A token bucket a sender."""

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.amqp.codec.rates import SENDERS_MAX, SenderRates

S = 1_000_000_000
MS = 1_000_000


@dataclass(slots=True, kw_only=True)
class Clock:
    now_ns: int = 17 * S

    def __call__(self) -> int:
        return self.now_ns

    def go_on(self, seconds: float) -> None:
        self.now_ns += round(seconds * S)


@dataclass(slots=True, kw_only=True)
class Model:
    """Buckets as everybody imagines them: tokens that drop in."""

    token_ns: int
    burst: int
    tokens: dict[str, Fraction] = field(default_factory=dict)

    def go_on(self, elapsed_ns: int) -> None:
        for sender, tokens in self.tokens.items():
            self.tokens[sender] = min(Fraction(self.burst), tokens + Fraction(elapsed_ns, self.token_ns))

    def wait_s(self, sender: str) -> float | None:
        tokens = self.tokens.setdefault(sender, Fraction(self.burst))
        if tokens < 1:
            return ceil((1 - tokens) * self.token_ns / MS) / 1000
        self.tokens[sender] = tokens - 1
        return None


def test_a_burst_is_let_through_and_then_the_rate() -> None:
    clock = Clock()
    rates = SenderRates(per_second=4, burst=3, clock_ns=clock)

    assert [rates.wait_s("a") for _ in range(5)] == [None, None, None, 0.25, 0.25]
    clock.go_on(0.25)
    assert [rates.wait_s("a") for _ in range(2)] == [None, 0.25]
    clock.go_on(0.1)
    assert rates.wait_s("a") == 0.15
    clock.go_on(3600)
    assert [rates.wait_s("a") for _ in range(4)] == [None, None, None, 0.25]


def test_each_sender_has_a_bucket_of_its_own_and_the_nameless_share_one() -> None:
    rates = SenderRates(per_second=1, burst=1, clock_ns=Clock())

    assert [rates.wait_s(sender) for sender in ("a", "b", "", "a", "b", "")] == [None, None, None, 1.0, 1.0, 1.0]


def test_asking_in_vain_costs_nothing() -> None:
    clock = Clock()
    rates = SenderRates(per_second=1, burst=1, clock_ns=clock)
    rates.wait_s("a")

    assert {rates.wait_s("a") for _ in range(1_000)} == {1.0}
    clock.go_on(1)
    assert rates.wait_s("a") is None


@pytest.mark.parametrize("per_second", [1e-300, 5e-324, 1e-9])
def test_a_rate_of_next_to_nothing_is_still_a_rate(per_second: float) -> None:
    rates = SenderRates(per_second=per_second, burst=1, clock_ns=Clock())

    assert rates.wait_s("a") is None
    assert rates.wait_s("a") == 1e9


def test_a_rate_beyond_all_clocks_lets_through_what_a_clock_can_tell_apart() -> None:
    clock = Clock()
    rates = SenderRates(per_second=1e12, burst=1, clock_ns=clock)

    assert [rates.wait_s("a"), rates.wait_s("a")] == [None, 0.001]
    clock.now_ns += 1
    assert rates.wait_s("a") is None


@pytest.mark.parametrize("burst", [1, 2])
def test_no_more_than_so_many_senders_are_remembered_and_those_that_asked_last(burst: int) -> None:
    rates = SenderRates(per_second=1, burst=burst, clock_ns=Clock(), senders_max=3)
    for sender in ("a", "b", "b", "c", "c", "a", "d", "d"):  # the second of each is in vain where the burst is one
        rates.wait_s(sender)

    assert len(rates) == 3
    assert [rates.wait_s(sender) for sender in ("c", "a", "d")] == [1.0, 1.0, 1.0]
    assert rates.wait_s("b") is None, "it was forgotten, and begins anew"
    assert len(rates) == 3


def test_one_that_floods_is_not_forgotten_for_others_who_ask() -> None:
    rates = SenderRates(per_second=1, burst=1, clock_ns=Clock(), senders_max=100)
    rates.wait_s("flooder")

    for number in range(10_000):
        rates.wait_s(f"other-{number}")
        assert rates.wait_s("flooder") == 1.0


def test_fifty_thousand_senders_take_no_more_room_than_ten_thousand() -> None:
    rates = SenderRates(per_second=1, burst=1, clock_ns=Clock())
    for number in range(5 * SENDERS_MAX):
        rates.wait_s(f"sender-{number}")

    assert len(rates) == SENDERS_MAX


asks = st.lists(st.tuples(st.integers(0, 5 * S), st.sampled_from("ab")), max_size=60)


@given(token_ns=st.integers(1, 3 * S), burst=st.integers(1, 6), asks=asks)
def test_it_does_what_tokens_that_drop_into_buckets_do(
    token_ns: int, burst: int, asks: list[tuple[int, str]]
) -> None:
    clock, model = Clock(), Model(token_ns=token_ns, burst=burst)
    rates = SenderRates(per_second=S / token_ns, burst=burst, clock_ns=clock)

    for elapsed_ns, sender in asks:
        clock.now_ns += elapsed_ns
        model.go_on(elapsed_ns)
        assert rates.wait_s(sender) == model.wait_s(sender)


@given(token_ns=st.integers(1, 3 * S), burst=st.integers(1, 6), pauses=st.lists(st.integers(0, S), max_size=60))
def test_who_waits_as_told_is_let_through(token_ns: int, burst: int, pauses: list[int]) -> None:
    clock = Clock()
    rates = SenderRates(per_second=S / token_ns, burst=burst, clock_ns=clock)

    for pause_ns in pauses:
        clock.now_ns += pause_ns
        wait_s = rates.wait_s("a")
        if wait_s is not None:
            clock.go_on(wait_s)
            assert rates.wait_s("a") is None
