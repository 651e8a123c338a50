"""The line of deliveries: in order, and what came back too often one by one."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.deliveries import delivery
from worker.amqp.delivery import DELIVERY_COUNT, AmqpDelivery
from worker.amqp.hand import Hand, Pile
from worker.amqp.line import Line


class InLine:
    """A line, the hand that it looks at, and what the two do together."""

    def __init__(self, *, puts_aside: bool = True) -> None:
        self.hand = Hand()
        self.line = Line(self.hand, puts_aside=puts_aside)
        self._pile = Pile()

    def arrive(self, device: str, *, came_back: int = 0) -> None:
        headers: dict[str, Any] = {DELIVERY_COUNT: came_back} if came_back else {}
        tag = self.hand.arrived + 1
        self.line.add(delivery(tag=tag, routing_key=device, redelivered=bool(came_back), headers=headers))
        self.hand.arrive(tag, self._pile)

    def take(self, limit: int = 10) -> list[str]:
        return named(self.line.next(limit))

    def settle(self, *tags: int) -> None:
        self.hand.settle(tags)


def named(deliveries: Sequence[AmqpDelivery]) -> list[str]:
    return [f"{delivery.routing_key}/{delivery.tag}" for delivery in deliveries]


def test_what_arrives_goes_in_order_up_to_the_limit() -> None:
    come = InLine()
    for device in "abcab":
        come.arrive(device, came_back=1)

    assert [come.take(3), come.take(3), come.take(3)] == [["a/1", "b/2", "c/3"], ["a/4", "b/5"], []]
    assert not come.line


def test_what_came_back_too_often_waits_for_what_was_taken_and_for_what_else_came_back() -> None:
    come = InLine()
    come.arrive("a", came_back=1)
    come.arrive("guilty", came_back=3)
    come.arrive("b", came_back=2)
    come.arrive("new")

    assert come.take(1) == ["a/1"]
    assert come.take() == ["b/3"]
    assert come.take() == []
    come.settle(1)
    assert come.take() == []
    come.settle(3)
    assert come.take() == ["guilty/2"]
    assert come.line


def test_when_it_is_done_the_new_ones_go_on_in_order() -> None:
    come = InLine()
    come.arrive("guilty", came_back=3)
    for device in "abc":
        come.arrive(device)

    assert [come.take(), come.take(2)] == [["guilty/1"], ["a/2", "b/3"]]
    assert come.take() == ["c/4"]


def test_its_device_waits_behind_it_in_order() -> None:
    come = InLine()
    come.arrive("guilty", came_back=3)
    come.arrive("guilty", came_back=1)
    come.arrive("guilty")

    assert come.take() == ["guilty/1"]
    assert come.take() == []
    come.settle(1)
    assert come.take() == ["guilty/2"]
    come.settle(2)
    assert come.take() == ["guilty/3"]


def test_a_device_that_goes_on_sending_keeps_no_other_one_waiting() -> None:
    come = InLine()
    come.arrive("hot", came_back=3)
    come.arrive("hot", came_back=1)
    come.arrive("other")
    taken: list[str] = []

    for _ in range(5):
        come.arrive("hot")
        come.arrive("hot")
        now = come.take()
        taken += now
        come.settle(*(int(name.partition("/")[2]) for name in now))

    assert "other/3" in taken
    hot = [int(name.partition("/")[2]) for name in taken if name.startswith("hot")]
    assert hot == sorted(hot)


def test_who_goes_first_of_those_that_came_back_alike_is_another_one_each_time() -> None:
    firsts = set()
    for _ in range(200):
        come = InLine()
        for device in "abc":
            come.arrive(device, came_back=7)
        firsts |= set(come.take())

    assert firsts == {"a/1", "b/2", "c/3"}


@pytest.mark.parametrize("guilty", range(5))
def test_one_that_ends_the_process_each_time_costs_no_other_one_its_life(guilty: int) -> None:
    """As with the broker: what is in hand when the process ends comes again, in order, with a count more."""
    left = dict.fromkeys(range(5), 0)
    for _ in range(20):
        come = InLine()
        for number, count in left.items():
            come.arrive(f"d{number}", came_back=count)
        tags = dict(enumerate(left, 1))
        while taken := [tags[int(name.partition("/")[2])] for name in come.take(3)]:
            if guilty in taken:
                break
            come.settle(*(tag for tag, number in tags.items() if number in taken))
            for number in taken:
                del left[number]
        left = {number: count + 1 for number, count in left.items()}

    assert left == {guilty: 20}


def test_with_one_queue_nothing_is_put_aside() -> None:
    come = InLine(puts_aside=False)
    come.arrive("a", came_back=9)
    come.arrive("b")

    assert come.take() == ["a/1", "b/2"]
