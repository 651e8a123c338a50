"""The book of events that are saved but not yet known to be published."""

from collections.abc import Iterable

from tests.support.making import an_event
from worker.service.messages import StoredEvent
from worker.service.outstanding import TROUBLED_MAX, Outstanding

ONE, TWO, THREE, FOUR = (an_event("cam-1", sequence) for sequence in (1, 2, 3, 4))
OTHER = an_event("cam-2", 1)


def a_book(*claimed: StoredEvent) -> Outstanding:
    book = Outstanding()
    book.claim(claimed)
    return book


def release(book: Outstanding, events: Iterable[StoredEvent]) -> None:
    for event in events:
        book.release(event)


def test_unpublished_events_are_claimed_by_device_and_sequence() -> None:
    assert Outstanding().claim([TWO, OTHER, ONE]) == [ONE, TWO, OTHER]


def test_an_event_is_claimed_once() -> None:
    book = a_book(ONE, TWO)

    assert book.claim([ONE, TWO, THREE, OTHER]) == [THREE, OTHER]
    assert book.claim([ONE, TWO, THREE, OTHER]) == []


def test_a_confirmed_event_is_not_claimed_again_while_the_database_does_not_know() -> None:
    book = a_book(ONE)

    book.confirm(ONE)

    assert book.claim([ONE, TWO]) == [TWO]
    assert book.may_go(TWO)


def test_what_is_confirmed_waits_to_be_marked() -> None:
    book = a_book(ONE, OTHER)

    book.confirm(OTHER)
    book.confirm(ONE)
    assert book.confirmed == [OTHER.id, ONE.id]

    book.marked([OTHER.id, THREE.id])
    assert book.confirmed == [ONE.id]


def test_an_event_goes_only_after_every_lower_one_is_confirmed() -> None:
    book = a_book(ONE, TWO, OTHER)

    assert (book.may_go(ONE), book.may_go(TWO), book.may_go(OTHER)) == (True, False, True)

    book.confirm(ONE)
    assert book.may_go(TWO)


def test_a_released_event_is_claimed_by_the_next_who_comes() -> None:
    book = a_book(ONE)

    book.release(ONE)

    assert book.claim([ONE, TWO]) == [ONE, TWO]
    assert book.may_go(ONE)
    assert not book.may_go(TWO)


def test_a_later_event_that_was_claimed_already_does_not_overtake_a_released_one() -> None:
    book = a_book(ONE)
    book.claim([ONE, TWO])

    book.release(ONE)

    assert not book.may_go(TWO)


def test_a_released_event_is_claimed_again_although_a_later_one_is_still_in_hand() -> None:
    book = a_book(ONE)
    book.claim([ONE, TWO])
    book.release(ONE)

    assert book.claim([ONE, TWO, THREE]) == [ONE, THREE]

    book.release(TWO)
    book.confirm(ONE)
    assert not book.may_go(THREE)
    assert book.claim([TWO, THREE]) == [TWO]


def test_an_event_that_another_worker_has_published_holds_nobody_back() -> None:
    book = a_book(ONE)
    book.claim([ONE, TWO])
    book.release(ONE)

    assert book.claim([TWO, THREE]) == [THREE]
    assert book.may_go(TWO)


def test_an_event_beyond_the_end_of_a_short_look_still_holds_back_the_later_ones() -> None:
    book = a_book(ONE, TWO)
    book.claim([ONE, TWO, THREE])
    release(book, [ONE, TWO])

    assert book.claim([ONE]) == [ONE]
    book.confirm(ONE)

    assert not book.may_go(THREE)


def test_an_event_in_hand_holds_back_the_later_ones_even_if_another_worker_has_published_it() -> None:
    book = a_book(ONE)

    book.claim([TWO])

    assert not book.may_go(TWO)


def test_it_knows_nothing_of_a_device_of_which_nothing_is_in_hand() -> None:
    book = a_book(ONE, TWO, THREE, OTHER)
    book.confirm(ONE)

    release(book, [TWO, THREE])
    book.confirm(OTHER)
    book.marked(book.confirmed)

    assert vars(book) == vars(Outstanding())


def test_it_forgets_what_was_released_when_the_last_one_in_hand_is_confirmed() -> None:
    book = a_book(ONE)
    book.claim([ONE, TWO])
    book.release(ONE)
    book.claim([ONE, TWO])
    book.release(TWO)

    book.confirm(ONE)

    assert book.claim([TWO]) == [TWO]
    assert book.may_go(TWO)


def many(*sequences: int) -> list[StoredEvent]:
    return [an_event("cam-1", sequence) for sequence in sequences]


def test_where_the_database_shows_only_some_what_lies_behind_a_gap_is_left_to_the_relay() -> None:
    book = Outstanding()

    assert book.claim(many(1, 2, 9), cut=frozenset({"cam-1"})) == many(1, 2)


def test_a_gap_that_is_in_hand_is_none() -> None:
    book = a_book(*many(1, 2, 3, 4))
    for event in many(1, 2):
        book.confirm(event)

    assert book.claim(many(1, 2, 5), cut=frozenset({"cam-1"})) == many(5)


def test_a_device_that_shows_all_it_has_may_have_gaps() -> None:
    assert a_book().claim(many(1, 5), cut=frozenset({"cam-2"})) == many(1, 5)


def test_what_was_refused_waits_to_be_noted() -> None:
    book = a_book(ONE, OTHER)
    book.refuse(ONE)
    book.release(ONE)

    assert book.refused == {"cam-1": 1}
    assert (book.is_troubled("cam-1"), book.is_troubled("cam-2")) == (True, False)

    book.noted({"cam-1": 1})
    assert book.refused == {}
    assert book.is_troubled("cam-1")


def test_what_was_refused_again_meanwhile_is_noted_later() -> None:
    book = a_book(ONE)
    book.refuse(TWO)

    book.noted({"cam-1": 1, "cam-9": 4})

    assert book.refused == {"cam-1": 2}


def test_a_device_whose_event_goes_through_is_in_trouble_no_more() -> None:
    book = a_book(ONE)
    book.refuse(ONE)

    book.confirm(ONE)

    assert not book.is_troubled("cam-1")
    assert book.refused == {}


def test_the_troubled_are_remembered_within_a_limit() -> None:
    book = Outstanding()
    for number in range(TROUBLED_MAX + 1):
        book.refuse(an_event(f"cam-{number}", 1))

    assert [book.is_troubled(f"cam-{number}") for number in (0, TROUBLED_MAX)] == [False, True]


def test_what_is_confirmed_and_not_marked_hides_no_gap_behind_it() -> None:
    book = Outstanding()
    for event in book.claim(many(*range(1, 33), 81), cut=frozenset({"cam-1"})):
        book.confirm(event)

    assert book.claim(many(*range(1, 33), 82), cut=frozenset({"cam-1"})) == []


def test_a_device_of_which_all_is_confirmed_is_forgotten() -> None:
    book = a_book(ONE)
    book.confirm(ONE)

    assert book.claim([ONE]) == []
    assert book.claim([TWO]) == [TWO]
    assert book.may_go(TWO)


def test_what_was_left_is_remembered_while_lower_ones_wait_to_be_marked() -> None:
    book = a_book(ONE, TWO, THREE)
    book.confirm(ONE)
    book.release(TWO)

    assert book.claim([ONE, TWO, THREE, FOUR]) == [TWO, FOUR]
    assert [book.may_go(event) for event in (TWO, THREE, FOUR)] == [True, False, False]
