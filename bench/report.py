# SPDX-License-Identifier: MIT
"""Results as a Markdown table and as a plot."""

import statistics

CONTENDERS = ("plain", "limpid", "HAProxy")
# measure, figure, what it is called, format, is more better
ROWS = [
    ("bulk, 1 flow", "throughput", "throughput, 1 flow (Gbit/s)", ".1f", True),
    ("bulk, 8 flows", "throughput", "throughput, 8 flows (Gbit/s)", ".1f", True),
    ("requests", "rate", "requests/s, 64 connections kept open", ",.0f", True),
    ("connections", "rate", "new connections/s, 64 at a time", ",.0f", True),
    ("latency", "p50", "one connection at a time, p50 (us)", ",.0f", False),
    ("latency", "p99", "one connection at a time, p99 (us)", ",.0f", False),
    ("bulk, 1 flow", "cpu per GB", "CPU per GB, 1 flow (ms)", ".0f", False),
    ("bulk, 8 flows", "cpu per GB", "CPU per GB, 8 flows (ms)", ".0f", False),
    ("requests", "cpu per request", "CPU per request (us)", ".1f", False),
    ("connections", "cpu per connection", "CPU per new connection (us)", ".1f", False),
    ("idle", "memory per session", "memory per idle session (bytes)", ",.0f", False),
]


def table(results):
    machine = results["machine"]
    lines = [f"{results['date']}, {machine['cores']} cores of {machine['cpu']}, Linux {machine['kernel']}, "
             f"{machine['haproxy'].split(' - ')[0]}; medians of {results['rounds']} rounds of {results['seconds']} s each"]
    for mode, measures in results["modes"].items():
        lines += ["", f"| {mode} | plain forwarding | limpid | HAProxy | limpid / plain | limpid / HAProxy (worst round) |",
                  "| --- | ---: | ---: | ---: | ---: | ---: |"]
        for row in ROWS:
            if row[0] in measures:
                lines.append(table_row(row, measures[row[0]]))
    return "\n".join(lines)


def table_row(row, contenders):
    _, figure, title, form, more_is_better = row
    values = {name: contenders.get(name, {}).get(figure) for name in CONTENDERS}
    if figure.startswith(("cpu", "memory")):
        values["plain"] = None  # no process of its own
    cells = [format(statistics.median(values[name]), form) if values[name] else "" for name in CONTENDERS]
    beside_plain = ratio(values["limpid"], values["plain"])
    beside_haproxy = ratio(values["limpid"], values["HAProxy"])
    if beside_haproxy:
        rounds = [ours / theirs for ours, theirs in zip(values["limpid"], values["HAProxy"]) if theirs]
        worst = min(rounds, default=0) if more_is_better else max(rounds, default=0)
        beside_haproxy += f" ({worst:.2f})"
    return "| " + " | ".join([title, *cells, beside_plain, beside_haproxy]) + " |"


def ratio(one, other):
    if not one or not other or not statistics.median(other):
        return ""
    return f"{statistics.median(one) / statistics.median(other):.2f}"


def plot(results, path):
    """Each round a dot, each median a bar; a row of panels for each mode."""
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "limpid"  # the same results make the same file
    import matplotlib.pyplot as pyplot

    modes = results["modes"]
    rows = [row for row in ROWS if any(row[0] in measures for measures in modes.values())]
    figure, axes = pyplot.subplots(len(rows), len(modes), figsize=(4.5 * len(modes) + 1, 1.15 * len(rows)), squeeze=False)
    colours = {"plain": "#9aa0a6", "limpid": "#1a73e8", "HAProxy": "#e8710a"}
    for column, (mode, measures) in enumerate(modes.items()):
        for line, (measure, name, title, _, _) in enumerate(rows):
            axis = axes[line][column]
            shown = [who for who in reversed(CONTENDERS) if measures.get(measure, {}).get(who, {}).get(name)]
            if name.startswith(("cpu", "memory")):
                shown = [who for who in shown if who != "plain"]
            for place, who in enumerate(shown):
                values = measures[measure][who][name]
                axis.barh(place, statistics.median(values), color=colours[who], height=0.7)
                axis.plot(values, [place] * len(values), "k|", markersize=5)
            axis.set_yticks(range(len(shown)), shown, fontsize=7)
            axis.tick_params(axis="x", labelsize=7)
            axis.set_title(title if line else f"{mode}\n{title}", fontsize=8, loc="left")
            axis.set_xlim(left=0)
            for side in ("top", "right"):
                axis.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
