"""What is remembered of direct reply addresses, and how much of it."""

from worker.amqp.reputation import ADDRESSES_MAX, Reputation


def test_an_unknown_address_is_neither_good_nor_suspect_nor_bad() -> None:
    reputation = Reputation()

    assert not reputation.is_good("a")
    assert not reputation.is_suspect("a")
    assert not reputation.is_bad("a")


def test_one_strike_makes_a_suspect_and_two_make_it_bad() -> None:
    reputation = Reputation()

    reputation.struck("a")
    assert reputation.is_suspect("a")
    assert not reputation.is_bad("a")

    reputation.struck("a")
    assert reputation.is_bad("a")


def test_a_confirm_clears_a_suspect() -> None:
    reputation = Reputation()
    reputation.struck("a")

    reputation.confirmed("a")

    assert reputation.is_good("a")
    assert not reputation.is_suspect("a")


def test_a_good_address_that_strikes_is_good_no_more() -> None:
    reputation = Reputation()
    reputation.confirmed("a")

    reputation.struck("a")

    assert not reputation.is_good("a")
    assert reputation.is_suspect("a")


def test_the_oldest_are_forgotten() -> None:
    reputation = Reputation()
    for number in range(ADDRESSES_MAX + 1):
        reputation.confirmed(f"good-{number}")
        reputation.struck(f"bad-{number}")

    assert not reputation.is_good("good-0")
    assert reputation.is_good("good-1")
    assert not reputation.is_suspect("bad-0")
    assert reputation.is_suspect("bad-1")
