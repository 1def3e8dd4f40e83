# SPDX-License-Identifier: MIT
"""Results as a Markdown table and as a plot."""

import statistics

MORE, LESS, POINTS = "more", "less", "points"  # what is better; POINTS: less, and differences count, not ratios
# A table: its contenders with their titles, whom it compares, and its rows: measure, figure, title, format, what is
# better and the targets, if there are any, of the comparisons.
TCP = (
    {"plain": "plain forwarding", "limpid": "limpid", "HAProxy": "HAProxy"},
    (("limpid", "plain"), ("limpid", "HAProxy")),
    [
        ("bulk, 1 flow", "throughput", "throughput, 1 flow (Gbit/s)", ".1f", MORE),
        ("bulk, 8 flows", "throughput", "throughput, 8 flows (Gbit/s)", ".1f", MORE),
        ("requests", "rate", "requests/s, 64 connections kept open", ",.0f", MORE),
        ("connections", "rate", "new connections/s, 64 at a time", ",.0f", MORE),
        ("latency", "p50", "one connection at a time, p50 (us)", ",.0f", LESS),
        ("latency", "p99", "one connection at a time, p99 (us)", ",.0f", LESS),
        ("bulk, 1 flow", "cpu per GB", "CPU per GB, 1 flow (ms)", ".0f", LESS),
        ("bulk, 8 flows", "cpu per GB", "CPU per GB, 8 flows (ms)", ".0f", LESS),
        ("requests", "cpu per request", "CPU per request (us)", ".1f", LESS),
        ("connections", "cpu per connection", "CPU per new connection (us)", ".1f", LESS),
        ("idle", "memory per session", "memory per idle session (bytes)", ",.0f", LESS),
    ],
)
RULES = (
    {"plain": "plain forwarding", "kernel": "limpid, a rule: direct", "limpid": "limpid, no rules",
     "identify": "one rule about a name", "rules": "10,000 rules, 1,000,000 names"},
    (("kernel", "plain"), ("identify", "limpid"), ("rules", "limpid")),
    [
        ("bulk, 1 flow", "throughput", "throughput, 1 flow (Gbit/s)", ".1f", MORE, "0.97"),
        ("bulk, 8 flows", "throughput", "throughput, 8 flows (Gbit/s)", ".1f", MORE, "0.97"),
        ("requests", "rate", "requests/s, 64 connections kept open", ",.0f", MORE, "0.97"),
        ("connections", "rate", "new connections/s, 64 at a time", ",.0f", MORE, "0.97", "", "0.95"),
        ("connections", "cpu per connection", "CPU per new connection (us)", ".1f", LESS),
    ],
)
UDP = (
    {"plain": "plain forwarding", "limpid": "handed over", "relayed": "relayed", "v2ray": "v2ray"},
    (("limpid", "plain"), ("relayed", "v2ray")),
    [
        *((f"datagrams, {size} bytes, {flows}", "rate", f"datagrams/s, {size:,} bytes, {flows}", ",.0f", MORE, "0.9", "3")
          for size in (64, 1400) for flows in ("1 flow", "256 flows")),
        ("loss at half of plain", "loss", "loss at half of plain forwarding's rate (%)", ".3f", POINTS, "+0.1"),
        ("loss at half of relayed", "loss", "loss at half of the relayed rate (%)", ".3f", POINTS),
        ("datagrams, 64 bytes, 1 flow", "cpu per datagram", "CPU per datagram, 64 bytes, 1 flow (us)", ".2f", LESS),
        ("questions", "rate", "flows/s of a question and an answer, 64 at a time", ",.0f", MORE),
        ("many flows", "answered", "20,000 flows: answered", ",.0f", MORE),
        ("many flows", "source kept", "20,000 flows: with the client's address and port", ",.0f", MORE),
        ("many flows", "descriptors", "20,000 flows: descriptors open (limpid: at most 300)", ",.0f", LESS),
    ],
)


TABLES = {"TCP": TCP, "rules": RULES, "UDP": UDP}


def table(results):
    machine = results["machine"]
    lines = [f"{results['date']}, {machine['cores']} cores of {machine['cpu']}, Linux {machine['kernel']}, "
             f"{machine['haproxy'].split(' - ')[0]}, {machine['v2ray'].split(' (')[0]}; medians of {results['rounds']} "
             f"rounds of {results['seconds']} s each, in brackets the worst round"]
    for mode, measures in results["modes"].items():
        for name, (titles, comparisons, rows) in TABLES.items():
            if any(row[0] in measures for row in rows):
                compared = [f"{titles[one]} / {titles[other]}" for one, other in comparisons]
                lines += ["", "| " + " | ".join([f"{name}, {mode}", *titles.values(), *compared]) + " |",
                          "| --- |" + " ---: |" * (len(titles) + len(comparisons))]
                lines += [table_row(row, measures[row[0]], titles, comparisons) for row in rows
                          if row[0] in measures and values_of(row[1], measures[row[0]], titles)]
    return "\n".join(lines)


def table_row(row, contenders, whose, comparisons):
    _, figure, title, form, better, *targets = row
    values = values_of(figure, contenders, whose)
    cells = [format(statistics.median(values[who]), form) if who in values else "" for who in whose]
    for place, pair in enumerate(comparisons):
        cell = compared(*(values.get(who) for who in pair), better)
        cells.append(cell + f", target {targets[place]}" if cell and any(targets[place:place + 1]) else cell)
    return "| " + " | ".join([title, *cells]) + " |"


def values_of(figure, contenders, whose):
    """{contender: [a value a round]}. Plain forwarding has no process of its own."""
    if figure.startswith(("cpu", "memory", "descriptors")):
        whose = [who for who in whose if who != "plain"]
    return {who: contenders[who][figure] for who in whose if contenders.get(who, {}).get(figure)}


def compared(ours, theirs, better):
    if not ours or not theirs or better != POINTS and not all(theirs):
        return ""
    rounds = [one - other if better == POINTS else one / other for one, other in zip(ours, theirs)]
    middle = statistics.median(rounds) if better == POINTS else statistics.median(ours) / statistics.median(theirs)
    worst = min(rounds) if better == MORE else max(rounds)
    form = "+.3f" if better == POINTS else ".2f"
    return f"{middle:{form}} ({worst:{form}})"


def plot(results, path):
    """Each round a dot, each median a bar; a row of panels for each mode."""
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "limpid"  # the same results make the same file
    import matplotlib.pyplot as pyplot

    modes = results["modes"]
    rows = [(titles, row) for titles, _, rows in TABLES.values() for row in rows
            if any(row[0] in measures for measures in modes.values())]
    size = (4.5 * len(modes) + 1, 1.15 * len(rows))
    figure, axes = pyplot.subplots(len(rows), len(modes), figsize=size, squeeze=False)
    colours = {"plain": "#9aa0a6", "limpid": "#1a73e8", "identify": "#9334e6", "rules": "#12b5cb",
               "kernel": "#f9ab00", "relayed": "#34a853", "HAProxy": "#e8710a", "v2ray": "#a142f4"}
    for column, (mode, measures) in enumerate(modes.items()):
        for line, (titles, (measure, name, title, *_)) in enumerate(rows):
            axis = axes[line][column]
            values = values_of(name, measures.get(measure, {}), titles)
            shown = [who for who in reversed(titles) if who in values]
            for place, who in enumerate(shown):
                axis.barh(place, statistics.median(values[who]), color=colours[who], height=0.7)
                axis.plot(values[who], [place] * len(values[who]), "k|", markersize=5)
            axis.set_yticks(range(len(shown)), [titles[who] for who in shown], fontsize=7)
            axis.tick_params(axis="x", labelsize=7)
            axis.set_title(title if line else f"{mode}\n{title}", fontsize=8, loc="left")
            axis.set_xlim(left=0)
            for side in ("top", "right"):
                axis.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
