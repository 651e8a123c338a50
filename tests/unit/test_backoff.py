"""How long to wait before trying again."""

from itertools import islice

from worker.service.backoff import pauses


def test_pauses_double_until_the_longest_and_never_end() -> None:
    steps_s = [1, 2, 4, 5, 5, 5]

    for _ in range(200):
        drawn_s = islice(pauses(first_s=1, longest_s=5), len(steps_s))
        for step_s, pause_s in zip(steps_s, drawn_s, strict=True):
            assert step_s / 2 <= pause_s <= step_s


def test_a_hundred_workers_do_not_come_back_in_one_instant() -> None:
    assert len({next(pauses(first_s=1, longest_s=5)) for _ in range(100)}) > 90
