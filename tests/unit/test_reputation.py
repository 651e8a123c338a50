"""What is remembered of direct reply addresses, and how much of it."""

import pytest

from tests.support.direct_addresses import direct_address
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


def test_one_that_proved_good_speaks_for_those_that_differ_in_the_low_bits_of_the_process_alone() -> None:
    reputation = Reputation()
    reputation.confirmed(direct_address("reply@1", 700))

    assert reputation.is_good(direct_address("reply@1", 701, key="another=="))
    assert reputation.is_good(direct_address("reply@1", 2**15 - 1))
    assert not reputation.is_good(direct_address("reply@2", 700))
    assert not reputation.is_good(direct_address("reply@1", 2**15))
    assert not reputation.is_good(direct_address("reply@1", 700, serial=2**13))
    assert not reputation.is_good(direct_address("reply@1", 700, creation=bytes(4)))


@pytest.mark.parametrize(
    "odd",
    [
        "amq.rabbitmq.reply-to.x",
        "amq.rabbitmq.reply-to.AAAA.BBBB",
        "amq.rabbitmq.reply-to.caf\xe9.BBBB",
        "amq.rabbitmq.reply-to.A.B",
        direct_address("reply@1", 1).replace("=.", "."),
        direct_address("reply@1", 1).replace("=.", "===."),
        direct_address("reply@1", 1).replace("=.", "=\n."),
        direct_address("reply@1", 1).replace("o=.", "p=."),
        direct_address("reply@1", 1).removesuffix(".key=="),
    ],
)
def test_an_address_of_another_form_speaks_for_itself_and_has_nobody_to_speak_for_it(odd: str) -> None:
    reputation = Reputation()
    reputation.confirmed(direct_address("reply@1", 1))

    assert not reputation.is_good(odd)

    reputation.confirmed(odd)
    assert reputation.is_good(odd)
    assert not reputation.is_good(odd + "x")


def test_where_one_ends_the_connection_none_like_it_is_good_any_more_and_none_else_is_suspect() -> None:
    reputation = Reputation()
    reputation.confirmed(direct_address("reply@1", 1))

    reputation.struck(direct_address("reply@1", 2))

    assert not reputation.is_good(direct_address("reply@1", 1))
    assert not reputation.is_suspect(direct_address("reply@1", 1))
