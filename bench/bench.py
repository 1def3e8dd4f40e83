#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""limpid beside the kernel's own forwarding, HAProxy and v2ray, on this machine, in one interleaved run: scripts/bench."""

import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import sys

import measures
import report
import udp
from contenders import HAProxy, Limpid, LimpidIdentify, LimpidKernel, LimpidRelay, LimpidRules, LimpidUdp, Plain, V2ray
from lab import BenchError, Lab, run

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODES = ("no conntrack", "masquerade")
MEASURES = measures.MEASURES | udp.MEASURES
CONTENDERS = ("plain", "limpid", "identify", "rules", "kernel", "HAProxy", "relayed", "v2ray")


def main():
    options = parse_options()
    if os.geteuid() != 0:
        sys.exit("bench: making network namespaces needs root")
    if (load := os.getloadavg()[0]) > 0.5:
        print(f"bench: this machine is busy (load {load:.1f}): the figures will be of little use", file=sys.stderr)
    results = {"date": datetime.date.today().isoformat(), "machine": machine(), "load": load, "rounds": options.rounds,
               "seconds": options.seconds, "modes": {}}
    try:
        for mode in options.modes:
            results["modes"][mode] = measure(mode, options)
    except BenchError as error:
        sys.exit(f"bench: {error}")
    path = options.output / results["date"]
    options.output.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")
    report.plot(results, path.with_suffix(".svg"))
    print(report.table(results))


def parse_options():
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    choices = [*MEASURES, *MODES, *CONTENDERS]
    parser.add_argument("--only", action="append", metavar="WHAT", choices=choices,
                        help="a measure, a mode or a contender, repeatable: " + "; ".join(choices))
    parser.add_argument("--quick", action="store_true", help="1 round of 2 s each: to see that it works")
    parser.add_argument("--limpid", type=pathlib.Path, default=ROOT / "build/release/limpid")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "bench/results")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 2
    only = set(options.only or ())
    options.modes = [mode for mode in MODES if mode in only] or list(MODES)
    options.measures = [name for name in MEASURES if name in only] or list(MEASURES)
    options.contenders = [name for name in CONTENDERS if name in only] or list(CONTENDERS)
    return options


def measure(mode, options):
    """{measure: {contender: {figure: [a value a round]}}}"""
    masquerade = mode == "masquerade"
    limpids = [kind(options.limpid) for kind in (Limpid, LimpidIdentify, LimpidRules, LimpidKernel)]
    tcp = [Plain(), *limpids, HAProxy()]
    datagrams = [Plain(), LimpidUdp(options.limpid), LimpidRelay(options.limpid), V2ray()]
    for contender in tcp + datagrams:
        contender.masquerade = masquerade
    results = {}
    with Lab(masquerade) as lab, measures.servers():
        for turn in range(options.rounds):
            for name in options.measures:
                everybody = datagrams if name in udp.MEASURES else tcp
                contenders = [contender for contender in everybody if contender.name in options.contenders and
                              (contender.measures is None or name in contender.measures)]
                for who, figures in one_round(lab, name, contenders, turn, options.seconds).items():
                    said = ", ".join(f"{figure} {value:.4g}" for figure, value in figures.items())
                    print(f"{mode}, round {turn + 1}: {name}: {who}: {said}", file=sys.stderr, flush=True)
                    for figure, value in figures.items():
                        results.setdefault(name, {}).setdefault(who, {}).setdefault(figure, []).append(value)
    return results


def one_round(lab, name, contenders, turn, seconds):
    """{contender: {figure: the mean of its slices}}. Whatever drifts on this machine meets the contenders alike."""
    slices = measures.SLICES.get(name, 1)
    taken = {contender.name: [] for contender in contenders}
    for first in range(turn, turn + slices):
        for place in range(len(contenders)):
            contender = contenders[(first + place) % len(contenders)]
            with contender:
                figures = MEASURES[name](contender, seconds if slices == 1 else min(seconds, 2))
                taken[contender.name].append(figures)
                lab.check_conntrack()
            lab.sweep()
    return {who: {figure: statistics.fmean(each[figure] for each in figures) for figure in figures[0]}
            for who, figures in taken.items()}


def machine():
    cpu = next((line.partition(":")[2].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    version = lambda *command: run(*command).splitlines()[0]
    return {"cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release(), "haproxy": version("haproxy", "-v"),
            "iperf3": version("iperf3", "--version"), "v2ray": version("v2ray", "-version")}


if __name__ == "__main__":
    main()
