"""Which lines of the feed are shown, where there is no room for all. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from devtools.demo.board import Line, Mood

_STAYS_S: Final[Mapping[Mood, float]] = {
    Mood.EVENT: 0,
    Mood.ODD: 1.5,
    Mood.HOSTILE: 2.5,
    Mood.NEWS: 5,
    Mood.GOOD: 5,
    Mood.BAD: 5,
}
_LOOKED_BACK_MAX: Final = 300


def what_is_new(lines: Sequence[Line], count: int) -> Sequence[Line]:
    """Return so many of the latest lines, in their order; what matters more stays longer."""
    latest = lines[-_LOOKED_BACK_MAX:]
    newest = sorted(range(len(latest)), key=lambda n: (latest[n].at_s + _STAYS_S[latest[n].mood], n))[-count:]
    return [latest[place] for place in sorted(newest)]


def what_mattered(lines: Sequence[Line], count: int) -> Sequence[Line]:
    """Return so many lines in their order: what happened once before what happened often, and events last."""
    seen: Counter[str] = Counter()
    ranks: list[tuple[bool, int, int, int]] = []
    for place, line in enumerate(lines):
        ranks.append((line.mood is Mood.EVENT, seen[line.text], -line.mood.value, place))
        seen[line.text] += 1
    return [lines[place] for place in sorted(rank[-1] for rank in sorted(ranks)[:count])]
