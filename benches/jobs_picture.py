"""The picture of benches/jobs.py: a bar for each job, its floor `nearest` and its peers, as SVG without scripts or fonts."""

import math
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, BAR, GAP = 860, 210, 190, 9, 9
KINDS = {"ours": ("reslice", "#1b6ca8"), "floor": ("nearest, the floor", "#9aa5b1"), "peer": ("peers", "#d98032")}


def picture(figures):
    """Seconds on a logarithmic scale, since peers take from half of ours to a hundred times as long."""
    groups = [bars(figure["medians"]) for figure in figures]
    seconds = [bar[2] for group in groups for bar in group]
    low, high = math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds)))
    place = lambda value: LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(value) - low) / max(high - low, 1)
    top = 46
    height = top + sum(len(group) * (BAR + 2) + GAP for group in groups) + 10
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11" role="img">',
             "<title>Seconds of each job, beside its floor and its peers</title>",
             f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>']
    for n, (label, colour) in enumerate(KINDS.values()):
        lines += [f'<rect x="{LEFT + 150 * n}" y="8" width="10" height="10" fill="{colour}"/>', text(LEFT + 150 * n + 15, 17, label)]
    for power in range(low, high + 1):
        x = place(10.0**power)
        lines += [f'<line x1="{x:.1f}" y1="36" x2="{x:.1f}" y2="{height - 6}" stroke="#d5dae0"/>', text(x, 32, f"{10.0**power:g} s", "middle")]
    y = top
    for figure, group in zip(figures, groups):
        lines.append(text(LEFT - 8, y + 9, figure["job"], "end"))
        for kind, label, value in group:
            lines.append(f'<rect x="{LEFT}" y="{y}" width="{max(place(value) - LEFT, 1):.1f}" height="{BAR}" fill="{KINDS[kind][1]}"/>')
            named = f"{value:.2f}" if kind != "peer" else f"{label} {value:.2f}"
            lines.append(text(max(place(value), LEFT + 1) + 4, y + 8, named, size=9))
            y += BAR + 2
        y += GAP
    return "\n".join([*lines, "</svg>"]) + "\n"


def bars(medians):
    """Kind, name and seconds: ours, the floor, and the peers, fastest first."""
    peers = sorted((m["seconds"], name) for name, m in medians.items() if name not in ("ours", "cp", "read", "nearest", "encode"))
    found = [("ours", "reslice", medians["ours"]["seconds"])]
    found += [("floor", "nearest", medians["nearest"]["seconds"])] if "nearest" in medians else []
    return found + [("peer", name, seconds) for seconds, name in peers]


def text(x, y, words, anchor="start", size=None):
    size = f' font-size="{size}"' if size else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#222222"{size}>{escape(words)}</text>'
