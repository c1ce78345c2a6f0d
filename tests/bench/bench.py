#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How fast snapdrv is, next to skopeo, umoci and containerd and to what the machine allows, all
measured in one run. Prints what must be reached and what was, and exits 1 when something is missed.
"""
import argparse
import json
import os
import signal
import sys

import containers
import load
import machine
import tools

CASES = [*load.CASES, *containers.CASES]


def names(known):
    """An argument type: a list with commas, each one of @known or a prefix of some."""
    def parse(text):
        found = []
        for word in filter(None, text.split(",")):
            matching = [word] if word in known else [one for one in known if one.startswith(word)]
            if not matching:
                raise argparse.ArgumentTypeError(f"'{word}' is none of {', '.join(known)}")
            found += matching
        return found
    return parse


def arguments():
    parser = argparse.ArgumentParser(prog="bench.py", description=__doc__)
    parser.add_argument("--only", type=names(CASES), default=CASES, metavar="CASE,...",
                        help="these cases, or those that start so: " + ", ".join(CASES))
    parser.add_argument("--runs", type=int, default=int(os.environ.get("RUNS") or 5), metavar="N",
                        help="how many times each is measured; medians are shown ($RUNS, 5)")
    parser.add_argument("--peers", type=names(tools.PEERS), default=list(tools.PEERS),
                        metavar="PEER,...",
                        help="to compare with; '' for none: " + ", ".join(tools.PEERS))
    parser.add_argument("--dir", default="/var/tmp", help="on the disk that is used (/var/tmp)")
    parser.add_argument("--json", metavar="FILE", help="write everything measured; -: and no table")
    parser.add_argument("--snapdrv", default=os.path.join(machine.TOP, "build/snapdrv"),
                        metavar="PROGRAM", help="with libsnapdrv.a beside it (build/snapdrv)")
    options = parser.parse_args()
    options.snapdrv = os.path.realpath(options.snapdrv)
    missing = tools.missing_peers(options.peers)
    if missing:
        parser.error(f"not installed: {', '.join(missing)}")
    if not os.path.exists(options.snapdrv):
        parser.error(f"there is no {options.snapdrv}")
    if options.runs < 1:
        parser.error("--runs: at least 1")
    options.peers = [tools.PEERS[name] for name in options.peers]
    return options


def say(text):
    print(text, file=sys.stderr, flush=True)


def measure(options):
    """{case: what was found}."""
    library = os.path.join(os.path.dirname(options.snapdrv), "libsnapdrv.a")
    found = {}
    with machine.Workshop(options.dir, library) as workshop:
        for case in options.only:
            if case in load.CASES:
                found[case] = load.measure(workshop, case, options, say)
            else:
                found[case] = containers.CASES[case][0](workshop, options, say)
    return found


def result_rows(found):
    """[{"what", "target", "figures", "ratio", "limit", "result"}]."""
    rows = []
    for case, one in found.items():
        rows += load.rows(case, one) if case in load.CASES else containers.CASES[case][1](one)
    loads = {case: one for case, one in found.items() if case in load.CASES}
    if loads:
        rows.append(load.peak_row(loads))
    keys = ("what", "target", "figures", "ratio", "limit")
    rows = [dict(zip(keys, row)) for row in rows]
    for row in rows:
        reached = row["ratio"] is not None and row["ratio"] <= row["limit"]
        row["result"] = "PASS" if reached else "MISS"
    return rows


def details(found):
    for case, one in found.items():
        if case in load.CASES:
            yield list(load.detail(case, one))
        elif containers.CASES[case][2]:
            yield list(containers.CASES[case][2](one))


def print_table(lines, left=1):
    """Columns as wide as they need, the first @left to the left. A lone cell takes no part."""
    widths = {}
    for line in lines:
        for at, cell in enumerate(line if len(line) > 1 else ()):
            widths[at] = max(widths.get(at, 0), len(cell))
    for line in lines:
        cells = [(cell, widths.get(at, 0)) for at, cell in enumerate(line)]
        print("  ".join([*(cell.ljust(width) for cell, width in cells[:left]),
                         *(cell.rjust(width) for cell, width in cells[left:])]).rstrip())


def print_report(report):
    about = report["machine"]
    print(f"Linux {about['kernel']}, {about['cores']} x {about['processor']}, "
          f"{about['memory'] / 2**30:.0f} GiB; median of {report['runs']}")
    print("; ".join(f"{name} {version}" for name, version in report["versions"].items()))
    for lines in details(report["cases"]):
        print()
        print_table(lines)
    print()
    lines = [("what", "target: at most", "figures", "ratio", "limit", "")]
    for row in report["rows"]:
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:.3f}"
        lines.append((row["what"], row["target"], row["figures"], ratio, f"{row['limit']:.3f}",
                      row["result"]))
    print_table(lines, left=3)


def stop(number, _):
    raise KeyboardInterrupt(number)


def main():
    options = arguments()
    machine.enter_private_namespace()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    report = {"machine": machine.describe(), "runs": options.runs,
              "versions": {"snapdrv": tools.Snapdrv(options.snapdrv).version(),
                           **{peer.name: peer().version() for peer in options.peers}}}
    try:
        report["cases"] = measure(options)
    except KeyboardInterrupt:
        say("bench: interrupted")
        return 130
    except RuntimeError as error:
        say(f"bench: {error}")
        return 1
    report["rows"] = result_rows(report["cases"])
    if options.json == "-":
        json.dump(report, sys.stdout, indent=1)
        print()
    else:
        print_report(report)
        if options.json:
            with open(options.json, "w", encoding="utf-8") as file:
                json.dump(report, file, indent=1)
    return 1 if any(row["result"] == "MISS" for row in report["rows"]) else 0


sys.exit(main())
