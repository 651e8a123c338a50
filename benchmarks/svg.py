"""A picture of a few shapes as SVG, readable on light and on dark pages. Pure."""

from collections.abc import Sequence
from html import escape
from typing import Final, Literal

# Okabe and Ito's colours, which people who are colour-blind tell apart too.
BLUE: Final = "#0072b2"
ORANGE: Final = "#e69f00"
GREY: Final = "#8c8c8c"

Anchor = Literal["start", "middle", "end"]

_STYLE: Final = (
    "text{font:13px system-ui,sans-serif;fill:#222}.title{font-weight:600;font-size:15px}.faint{fill:#666}"
    ".rule{stroke:#ddd}.whisker{stroke:#222}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.faint{fill:#aaa}.rule{stroke:#444}.whisker{stroke:#ddd}}"
)


class Picture:
    """Shapes at places in pixels, from the top left."""

    def __init__(self, *, width: int, height: int, says: str) -> None:
        """Begin an empty one; `says` is for who cannot see it."""
        self._size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        self._says = escape(says)
        self._shapes: list[str] = []

    def text(self, x: float, y: float, text: str, *, anchor: Anchor = "start", style: str = "plain") -> None:
        """Write a line."""
        self._shapes.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{style}">{escape(text)}</text>'
        )

    def bar(self, x: float, y: float, *, width: float, height: float, colour: str) -> None:
        """Fill a rectangle."""
        self._shapes.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2" fill="{colour}"/>'
        )

    def line(self, start: tuple[float, float], end: tuple[float, float], *, style: str) -> None:
        """Draw a thin line."""
        (x1, y1), (x2, y2) = start, end
        self._shapes.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>')

    def dot(self, x: float, y: float, *, radius: float, colour: str, is_filled: bool = True) -> None:
        """Draw a dot, or a ring."""
        fill = colour if is_filled else "none"
        self._shapes.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" '
            f'fill="{fill}" stroke="{colour}" stroke-width="2"/>'
        )

    def written(self) -> str:
        """Return it as a file."""
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" {self._size} role="img">',
                f"<title>{self._says}</title><style>{_STYLE}</style>",
                *self._shapes,
                "</svg>\n",
            ]
        )


def colour_of(system: str, *, ours: str, ceilings: Sequence[str]) -> str:
    """Return blue for ours, grey for those without a promise, orange for all others."""
    if system.startswith(ours):
        return BLUE
    return GREY if system in ceilings else ORANGE
