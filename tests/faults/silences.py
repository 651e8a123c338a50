"""What a living broker says nothing of, as somebody who stands between it and a worker sees it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from tests.support.said import Said

OLD_S: Final = 0.5  # what waits for no longer than this is not met with silence


def with_silences(said: Iterable[Said], *, canary: str) -> Iterator[Said]:
    """Yield what was said, and a refusal of each publish that the broker said nothing of for a while before it
    confirmed the canary of the same connection: it counts as refused (ADR 14), and no frame says so.
    """
    waiting: defaultdict[int, dict[tuple[int, int | None], Said]] = defaultdict(dict)
    for one in said:
        yield one
        of_connection = waiting[one.number]
        if one.is_publish:
            of_connection[one.channel, one.delivery_tag] = one
        elif one.is_confirm:
            settled = [of_connection.pop((one.channel, tag)) for tag in _tags(of_connection, one)]
            if any(publish.routing_key == canary for publish in settled):
                silent = [key for key, publish in of_connection.items() if one.at_s - publish.at_s >= OLD_S]
                for publish in map(of_connection.pop, silent):
                    yield replace(publish, at_s=one.at_s, direction="to_client", method="Basic.Nack")


def _tags(waiting: dict[tuple[int, int | None], Said], confirm: Said) -> list[int | None]:
    if confirm.delivery_tag is None:
        return []
    return [
        tag
        for channel, tag in waiting
        if channel == confirm.channel and tag is not None
        if tag == confirm.delivery_tag or (confirm.multiple and tag < confirm.delivery_tag)
    ]
