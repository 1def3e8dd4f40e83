#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""limpid beside the kernel's own forwarding and HAProxy, on this machine, in one run, interleaved. Run by scripts/bench."""

import argparse
import datetime
import json
import os
import pathlib
import platform
import sys

import report
from contenders import HAProxy, Limpid, Plain
from lab import BenchError, Lab, run
from measures import MEASURES, servers

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODES = ("no conntrack", "masquerade")


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
    parser.add_argument("--only", action="append", metavar="WHAT", choices=[*MEASURES, *MODES, "plain", "limpid", "HAProxy"],
                        help="a measure, a mode or a contender, repeatable: " + ", ".join([*MEASURES, *MODES]))
    parser.add_argument("--quick", action="store_true", help="1 round of 2 s each: to see that it works")
    parser.add_argument("--limpid", type=pathlib.Path, default=ROOT / "build/release/limpid")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "bench/results")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 2
    only = set(options.only or ())
    options.modes = [mode for mode in MODES if mode in only] or list(MODES)
    options.measures = [name for name in MEASURES if name in only] or list(MEASURES)
    options.contenders = [name for name in ("plain", "limpid", "HAProxy") if name in only] or ["plain", "limpid", "HAProxy"]
    return options


def measure(mode, options):
    """{measure: {contender: {figure: [a value a round]}}}"""
    masquerade = mode == "masquerade"
    everybody = [Plain(), Limpid(options.limpid), HAProxy(masquerade)]
    contenders = [contender for contender in everybody if contender.name in options.contenders]
    results = {}
    with Lab(masquerade) as lab, servers():
        for round_number in range(options.rounds):
            turn = round_number % len(contenders)
            for name in options.measures:
                for contender in contenders[turn:] + contenders[:turn]:
                    with contender:
                        figures = MEASURES[name](contender, options.seconds)
                        lab.check_conntrack()
                    lab.sweep()
                    said = ", ".join(f"{figure} {value:.4g}" for figure, value in figures.items())
                    print(f"{mode}, round {round_number + 1}: {name}: {contender.name}: {said}", file=sys.stderr, flush=True)
                    for figure, value in figures.items():
                        results.setdefault(name, {}).setdefault(contender.name, {}).setdefault(figure, []).append(value)
    return results


def machine():
    cpu = next((line.partition(":")[2].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    version = lambda *command: run(*command, check=False).splitlines()[0]
    return {"cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release(), "haproxy": version("haproxy", "-v"),
            "iperf3": version("iperf3", "--version")}


if __name__ == "__main__":
    main()
