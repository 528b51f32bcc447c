"""A report of the ledger as one HTML page with an SVG timeline: no script, nothing from elsewhere. Pure.

Whatever comes from outside (names, causes) is escaped, and the page forbids scripts and requests by its own policy.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from standfast.incidents import Kind
from standfast.ledger_periods import moment
from standfast.ledger_report import RegionReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from standfast.ledger_report import BudgetLine, Figures, FleetReport, IncidentLine, Stretch

_LABEL, _WIDTH, _ROW, _TOP = 150, 960, 56, 24
_DAY = 86_400
_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--line:#d0d7de;--good:#2da44e;--some:#d4a72c;--bad:#cf222e;
--none:#d0d7de;--standby:#8250df}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--paper:#0d1117;--line:#30363d;--none:#484f58}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:62rem;margin:2rem auto;
padding:0 1rem}
table{border-collapse:collapse;width:100%;margin:0 0 1.5rem}
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid var(--line)}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
svg{width:100%;height:auto}svg text{fill:var(--ink);font:12px system-ui,sans-serif}
.good{fill:var(--good)}.some{fill:var(--some)}.bad{fill:var(--bad)}.none{fill:var(--none)}
.gap{fill:none;stroke:var(--line);stroke-dasharray:3 3}.standby{fill:var(--standby)}.axis{stroke:var(--line)}
.warn{border-left:4px solid var(--bad);padding-left:.8rem}
"""
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def page(report: RegionReport | FleetReport) -> str:
    """The whole document."""
    regions = (report,) if isinstance(report, RegionReport) else report.regions
    about = f"{report.fleet} in {report.region}" if isinstance(report, RegionReport) else f"{report.fleet}, all Regions"
    title = f"{about}: {report.period}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{_state(report.is_final)} Made {moment(report.made_at)} UTC. All times are UTC.</p>",
        *(_warning(text) for text in _warnings(report, regions)),
        _timeline(report.begin, report.end, regions, report.budget.objective),
        _figures(report, regions),
        _budget(report.budget),
        _incidents(regions),
        _notes(),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def percent(share: float | None) -> str:
    """`99.9987 %`, rounded down: what is not whole never reads as 100 %."""
    if share is None:
        return "no requests"
    digits = int(share * 1_000_000 + 1e-6) / 10_000
    return f"{digits:.4f}".rstrip("0").rstrip(".") + " %"


def duration(seconds: float) -> str:
    """`2 h 03 min`, `4 min 05 s`, `12.5 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"


def _state(is_final: bool) -> str:
    return "Final." if is_final else "Not final: hours are still being counted, or were not recorded."


def _warning(text: str) -> str:
    return f'<p class="warn">{escape(text)}</p>'


def _warnings(report: RegionReport | FleetReport, regions: Sequence[RegionReport]) -> Iterable[str]:
    if not isinstance(report, RegionReport) and report.missing:
        yield f"{', '.join(report.missing)} did not report: their requests are not in these figures."
    for each in regions:
        if each.hours_recorded < each.hours:
            yield f"{each.region}: {each.hours_recorded} of {each.hours} hours that are over are recorded."


def _timeline(begin: float, end: float, regions: Sequence[RegionReport], objective: float) -> str:
    height = _TOP + _ROW * len(regions) + 8
    scale = (_WIDTH - _LABEL) / (end - begin)

    def x(at: float) -> float:
        return _LABEL + (min(max(at, begin), end) - begin) * scale

    drawn = [_axis(begin, end, height, scale)]
    for number, region in enumerate(regions):
        top = _TOP + number * _ROW
        drawn.append(f'<text x="0" y="{top + 16}">{escape(region.region)}</text>')
        for each in region.timeline:
            what = f"{moment(each.begin)}: {_said(each)}"
            box = _box(x(each.begin), x(each.begin + each.seconds), top, 20, _grade(each, objective), what)
            drawn.append(box)
        for line in region.incidents:
            if not line.affects_users and line.kind is not Kind.REDUNDANCY:
                continue
            until = region.made_at if line.end is None else line.end
            lower, style = (36, "standby") if line.kind is Kind.REDUNDANCY else (24, "bad")
            what = f"{line.cluster_id}, {duration(line.seconds)}: {line.cause}"
            drawn.append(_box(x(line.begin), x(until), top + lower, 9, style, what))
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="Timeline of requests and incidents">'
        + "".join(drawn)
        + "</svg>"
        "<p>Upper band: green no failure, yellow within the objective, red below it, grey no requests, dashed not "
        "recorded. Under it: red an incident that users felt, violet no standby.</p>"
    )


def _axis(begin: float, end: float, height: int, scale: float) -> str:
    is_day = end - begin <= _DAY
    step = 6 * 3600 if is_day else 7 * _DAY
    drawn, at = "", begin
    while at < end:
        place = _LABEL + (at - begin) * scale
        said = moment(at)[11:16] if is_day else moment(at)[5:10]
        drawn += f'<line class="axis" x1="{place:.1f}" y1="{_TOP - 8}" x2="{place:.1f}" y2="{height}"/>'
        drawn += f'<text x="{place + 3:.1f}" y="12">{said}</text>'
        at += step
    return drawn


def _box(left: float, right: float, top: float, height: float, style: str, what: str) -> str:
    width = max(1.5, right - left)  # three seconds of a month must be seen too
    return (
        f'<rect class="{style}" x="{left:.1f}" y="{top}" width="{width:.1f}" height="{height}">'
        f"<title>{escape(what)}</title></rect>"
    )


def _grade(each: Stretch, objective: float) -> str:
    if not each.recorded:
        return "gap"
    if not each.requests:
        return "none"
    if not each.failed:
        return "good"
    return "some" if each.failed <= each.requests * (1 - objective) else "bad"


def _said(each: Stretch) -> str:
    said = f"{each.requests:,} requests, {each.failed:,} failed"
    return said if each.recorded else f"not wholly recorded: {said}"


def _figures(report: RegionReport | FleetReport, regions: Sequence[RegionReport]) -> str:
    rows = [_row("Region", each.region, each.total, each.down_seconds, each.available_by_time) for each in regions]
    rows += [_row("model", name, figures, None, None) for name, figures in report.models.items()]
    if not isinstance(report, RegionReport):
        rows.append(_row("fleet", report.fleet, report.total, report.some_down_seconds, None))
    head = "".join(
        f'<th class="n">{name}</th>'
        for name in ("good", "requests", "failed", "of them shed", "users without service", "good by time")
    )
    whole = ""
    if not isinstance(report, RegionReport):
        at_once = report.all_down_seconds
        said = "not known, a Region is missing" if at_once is None else duration(at_once)
        whole = f"<p>Every Region was without service at the same time for: {said}.</p>"
    return f'<h2>Requests</h2><table><tr><th colspan="2"></th>{head}</tr>{"".join(rows)}</table>{whole}'


def _row(kind: str, name: str, figures: Figures, down: float | None, by_time: float | None) -> str:
    cells = (
        percent(figures.availability),
        f"{figures.requests:,}",
        f"{figures.failed:,}",
        f"{figures.shed:,}",
        "" if down is None else duration(down),
        "" if by_time is None else percent(by_time),
    )
    return f"<tr><td>{kind}</td><td>{escape(name)}</td>" + "".join(f'<td class="n">{e}</td>' for e in cells) + "</tr>"


def _budget(budget: BudgetLine) -> str:
    left = percent(budget.left) if budget.left >= 0 else f"overdrawn by {percent(-budget.left)}"
    return (
        f"<h2>Error budget</h2><p>Objective {percent(budget.objective)} over {budget.days:g} days: of "
        f"{budget.requests:,} requests {budget.allowed:,.0f} might have failed, {budget.failed:,} did. "
        f"Left: <strong>{left}</strong>.</p>"
    )


def _incidents(regions: Sequence[RegionReport]) -> str:
    rows = "".join(_incident(region.region, line) for region in regions for line in region.incidents)
    if not rows:
        return "<h2>Incidents</h2><p>None.</p>"
    head = (
        '<tr><th>Region</th><th>cluster</th><th>from</th><th>to</th><th class="n">in this period</th><th>what</th></tr>'
    )
    return f"<h2>Incidents</h2><table>{head}{rows}</table>"


def _incident(region: str, line: IncidentLine) -> str:
    end = "open" if line.end is None else moment(line.end)
    felt = "no standby" if line.kind is Kind.REDUNDANCY else "felt by users" if line.affects_users else "not felt"
    cells = "".join(f"<td>{escape(text)}</td>" for text in (region, line.cluster_id, moment(line.begin), end))
    return f'<tr>{cells}<td class="n">{duration(line.seconds)}</td><td>{felt}: {escape(line.cause)}</td></tr>'


def _notes() -> str:
    return (
        "<p>Requests are those that the load balancer counted, less the canaries to clusters without traffic; where it "
        "counted less than the canaries did, these stand. Incidents that overlap are counted once, open ones until "
        "now.</p>"
    )
