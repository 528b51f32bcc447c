"""What buys the next nine, as one SVG: a bar a setting, with its interval."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from sandbox.simulation.settings import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Mapping

ROW, LEFT, WIDTH, TOP, PAD = 20, 290, 760, 46, 50
BETTER: Final = "#2a7f4f"
WORSE: Final = "#b3472f"
_STYLE: Final = "font:12px sans-serif;fill:#222"


def chart(differences: Mapping[str, tuple[float, float]], default_minutes: float) -> str:
    """The SVG. `differences`: setting -> minutes a year more than the default, and half of its 95 % interval.

    A bar that is much longer than all others ends at the edge; the figure beside it is whole.
    """
    rows = sorted(((name, *found) for name, found in differences.items() if name != DEFAULT), key=lambda row: row[1])
    sizes = sorted((abs(more) for _, more, _ in rows), reverse=True)
    most = 1.5 * (sizes[1] if len(sizes) > 1 else sum(sizes)) or 1.0  # one that is far off would hide all others
    low = max(-most, min([0.0, *(more - half for _, more, half in rows)]))
    high = min(most, max([0.0, *(more + half for _, more, half in rows)]))
    scale = (WIDTH - LEFT - PAD) / ((high - low) or 1.0)

    def x(minutes: float) -> float:
        return LEFT + (min(max(minutes, low), high) - low) * scale

    height = TOP + ROW * len(rows) + 16
    title = f"Minutes a year more or less than the default fleet's {default_minutes:.1f}, with 95 % intervals"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="10" y="22" style="font:bold 13px sans-serif;fill:#222">{escape(title)}</text>',
        f'<line x1="{x(0):.1f}" y1="{TOP - 8}" x2="{x(0):.1f}" y2="{height - 10}" stroke="#666"/>',
    ]
    for place, (name, more, half) in enumerate(rows):
        y = TOP + place * ROW
        begin, end = sorted((x(0), x(more)))
        color = BETTER if more < 0 else WORSE
        parts += [
            f'<text x="{LEFT - 8}" y="{y + 10}" text-anchor="end" style="{_STYLE}">{escape(name)}</text>',
            f'<rect x="{begin:.1f}" y="{y}" width="{end - begin:.1f}" height="12" fill="{color}"/>',
            f'<line x1="{x(more - half):.1f}" y1="{y + 6}" x2="{x(more + half):.1f}" y2="{y + 6}" stroke="#222"/>',
            f'<text x="{WIDTH - 4}" y="{y + 10}" text-anchor="end" style="{_STYLE}">{more:+.1f}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
