#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""report.py [bench|open]: one page of what the last runs of the tests left in build/

With "bench" that section alone, to standard output.  Otherwise it writes
build/results/proof.md, and proof.html with the plots, and prints where that is;
with "open" it also opens it in a browser, if there is a display.

It judges nothing: what it shows are the checks that lab/test.sh counted, and what
the guests printed (build/logs/NAME/job).  What was not run is said to be so.
"""

import collections
import glob
import html
import os
import pathlib
import re
import subprocess
import sys
import webbrowser

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOGS = os.path.join(ROOT, "build/logs")
OUT = os.path.join(ROOT, "build/results")
NOT_RUN = "Not run."


def lines(path):
    try:
        with open(path, errors="replace") as f:
            return f.read().splitlines()
    except FileNotFoundError:
        return []


READ = collections.defaultdict(list)     # commit: the logs that were read


def job(name):
    found = lines(os.path.join(LOGS, name, "job"))
    if found:
        commit = lines(os.path.join(LOGS, name, "commit")) or ["not known"]
        READ[commit[0]].append(name)
    return found


class Page:
    """The same page twice: as Markdown, and as HTML with the plots"""

    def __init__(self):
        self.md = []
        self.html = []

    def heading(self, level, text):
        self.md.append("%s %s" % ("#" * level, text))
        self.html.append("<h%d>%s</h%d>" % (level, html.escape(text), level))

    def text(self, text):
        self.md.append(text)
        self.html.append("<p>%s</p>" % html.escape(text))

    def block(self, text):
        self.md.append("```\n%s\n```" % text)
        self.html.append("<pre>%s</pre>" % html.escape(text))

    def table(self, head, rows):
        rows = [[str(c) for c in r] for r in rows]
        self.md.append("\n".join(
            ["| %s |" % " | ".join(head), "|%s" % ("---|" * len(head))] +
            ["| %s |" % " | ".join(c.replace("|", "\\|") for c in r)
             for r in rows]))
        cells = "".join("<th>%s</th>" % html.escape(c) for c in head)
        self.html.append("<table><tr>%s</tr>" % cells)
        for r in rows:
            cells = "".join("<td>%s</td>" % html.escape(c) for c in r)
            self.html.append("<tr>%s</tr>" % cells)
        self.html.append("</table>")

    def plot(self, svg):
        self.html.append(svg)

    def write(self):
        os.makedirs(OUT, exist_ok=True)
        with open(os.path.join(OUT, "proof.md"), "w") as f:
            f.write("\n\n".join(self.md) + "\n")
        with open(os.path.join(OUT, "proof.html"), "w") as f:
            f.write("<!DOCTYPE html><meta charset=utf-8>"
                    "<title>Safe removal of V4L2 devices</title><style>"
                    "body{font:15px sans-serif;max-width:70em;margin:2em auto}"
                    "td,th{padding:.1em .8em;text-align:left}"
                    "pre{overflow-x:auto}svg{display:block;margin:1em 0}"
                    "</style>\n" + "\n".join(self.html) + "\n")


# ------------------------------------------------------------------- plots

def svg(width, height, parts):
    return ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
            'font-family="sans-serif" font-size="12">%s</svg>'
            % (width, height, "".join(parts)))


def label(x, y, text, anchor="start"):
    return ('<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>'
            % (x, y, anchor, html.escape(text)))


def box(x, y, width, height, colour):
    return ('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>'
            % (x, y, max(width, 0), max(height, 0), colour))


def stacked(rows, colours):
    """Horizontal bars: (name, [values]) each, to one scale"""
    scale = 600 / max(1, max(sum(v) for _, v in rows))
    parts = []
    for i, (name, values) in enumerate(rows):
        x, y = 150, 4 + 22 * i
        parts.append(label(x - 8, y + 13, name, "end"))
        for value, colour in zip(values, colours):
            parts.append(box(x, y, value * scale, 18, colour))
            x += value * scale
        parts.append(label(x + 6, y + 13, " + ".join(map(str, values))))
    return svg(900, 8 + 22 * len(rows), parts)


def histogram(bins, unit):
    """Bars for (upper limit, count); the height is the share"""
    total = max(1, sum(n for _, n in bins))
    high = max(1, max(n for _, n in bins))
    width = 800 / len(bins)
    parts = []
    for i, (limit, n) in enumerate(bins):
        h = 160 * n / high
        parts.append(box(10 + i * width, 190 - h, width - 4, h, "#369"))
        parts.append(label(10 + i * width, 185 - h, "%.3g %%" % (100 * n / total)))
        parts.append(label(10 + i * width, 206, "<%d" % limit))
    parts.append(label(10, 224, unit))
    return svg(830, 230, parts)


def curve(points, name):
    """One figure over cycles, from 0"""
    right = max(x for x, _ in points) or 1
    top = max(y for _, y in points) or 1
    path = " ".join("%.1f,%.1f" % (10 + 640 * x / right, 130 - 110 * y / top)
                    for x, y in points)
    return svg(900, 155, [
        '<polyline points="%s" fill="none" stroke="#369" stroke-width="2"/>' % path,
        '<path d="M10 10V130H650" fill="none" stroke="#888"/>',
        label(660, 130 - 110 * points[-1][1] / top, "%s %d KiB" % (name, points[-1][1])),
        label(650, 148, "%d cycles" % right, "end")])


# ---------------------------------------------------------------- sections

def group(name):
    """What a check belongs to: "kunit uml", "matrix uml", "lint"..."""
    return re.split(r": ", name, 1)[0]


def checks(page):
    page.heading(2, "Checks")
    counts = collections.OrderedDict()
    others = {"fail": [], "skip": []}
    for line in lines(os.path.join(OUT, "checks")):
        result, name = line.split("\t", 1)
        counts.setdefault(group(name), collections.Counter())[result] += 1
        if result in others:
            others[result].append(name)
    if not counts:
        page.text(NOT_RUN)
        return
    page.table(["", "passed", "failed", "skipped"],
               [[g, c["pass"], c["fail"], c["skip"]] for g, c in counts.items()])
    for result, title in ("fail", "Failed"), ("skip", "Could not be run here"):
        page.text("%s: %s." % (title, ", ".join(others[result]) or "none"))


def matrix(page):
    page.heading(2, "Matrix: scenario x state x node")
    # a guest for each driver; that of "make test", which has all of them, is not meant
    jobs = [j for j in sorted(glob.glob(os.path.join(LOGS, "matrix-uml-*/job")))
            if "," not in j]
    if not any("-base-" in j for j in jobs):
        page.text(NOT_RUN)
        return
    out = subprocess.run(["awk", "-f", os.path.join(ROOT, "lab/matrix.awk")] + jobs,
                         capture_output=True, text=True, check=True).stdout
    rows = []
    for m in re.finditer(r"^(unpatched|patched) +(\S+) +(\d+) passed, +(\d+) failed, "
                         r"+\d+ skipped, +(\d+) not reached", out, re.M):
        if m[2] != "all":
            rows.append(("%s %s" % (m[2], m[1]), [int(m[i]) for i in (3, 4, 5)]))
    rows.sort(key=lambda r: (r[0].split()[0], r[0].split()[1] == "patched"))
    page.plot(stacked(rows, ["#4a4", "#c33", "#888"]))
    page.text("In the plot: passed + failed + not reached.")
    page.block(out)


def controls(page):
    page.heading(2, "Controls: what must fail, and did")
    wanted = re.compile(r"the kernel reports|_busted|baseline|unpatched kernel fails")
    rows = [line.split("\t", 1) for line in lines(os.path.join(OUT, "checks"))
            if wanted.search(line)]
    if rows:
        page.table(["check", ""], [[name, "as it must" if r == "pass" else r]
                                   for r, name in rows])
    else:
        page.text(NOT_RUN)


def comments(page, title, names, pattern):
    """The lines of jobs that match, under a heading each"""
    page.heading(2, title)
    for name in names:
        found = [line.lstrip("# ") for line in job(name) if re.search(pattern, line)]
        page.heading(3, name)
        if found:
            page.block("\n".join(found))
        else:
            page.text(NOT_RUN)


def stress(page, name, title):
    page.heading(2, title)
    out = job(name)
    data = [line.split("\t")[1:] for line in out if line.startswith("DATA\t")]
    result = [line.split("\t")[1:] for line in out if line.startswith("RESULT\t")]
    if not result:
        page.text(NOT_RUN)
        return
    page.table(["check", "", "seen"], result)
    page.block("\n".join(line for line in out if
                         re.match(r"drains |\w+ +\d+ unbinds|memory: ", line)))
    curves = collections.OrderedDict()
    bins = collections.OrderedDict()
    for d in data:
        if d[0] == "memory":
            curves.setdefault(d[2].rstrip(":"), []).append((int(d[1]), int(d[3])))
        else:
            bins.setdefault((d[0], d[2]), []).append((int(d[1]), int(d[3])))
    for (what, unit), b in bins.items():
        page.plot("<p>%s</p>" % ("Each drain waited" if what == "drain" else
                                 "Each unbind of %s took" % what))
        page.plot(histogram(b, unit))
    if curves:
        page.plot("<p>Memory under load, over the cycles</p>")
    for what, points in curves.items():
        # the first cycles, which fill caches, begin at 0 too
        start = max(i for i, p in enumerate(points) if i == 0 or p[0] < points[i - 1][0])
        page.plot(curve(points[start:], what))


def bench(page):
    page.heading(2, "Cost: instructions for each call")
    seen = [{}, {}]
    for found, name in zip(seen, ("bench-base", "bench")):
        for line in job(name):
            if line.startswith("BENCH\t"):
                _, call, *n = line.split("\t")
                found[call] = [int(v) for v in n]
    base, ours = seen
    rows = [[call] + [v for a, b in zip(base[call], ours[call])
                      for v in (a, b, "%+d" % (b - a), "%+.2f %%" % (100 * b / a - 100))]
            for call in base if call in ours]
    if rows:
        page.text("The least and the median of 401 calls, counted by QEMU, on kernels "
                  "without debug options that differ by the series alone.")
        page.table(["call", "least: unpatched", "patched", "", "",
                    "median: unpatched", "patched", "", ""], rows)
    else:
        page.text(NOT_RUN)
    sizes(page)
    unbind(page)
    refscale(page)


def coccicheck(page):
    page.heading(2, "Semantic patches")
    rows = [line.split("\t") for line in lines(os.path.join(OUT, "coccicheck"))]
    if not rows:
        page.text(NOT_RUN)
        return
    page.text("Places that they report, of drivers of all kinds.")
    page.table(["rule", "unpatched", "patched"], [r[1:] for r in rows if r[0] == "FOUND"])
    page.text("Drivers that the series does not convert, converted by program: what is "
              "reported before and after, lines added and removed, and what is left to do "
              "by hand as far as it can be counted: interrupts to free, hardware that "
              "remove() stops too early, a mem2mem device that comes after the node, "
              "hardware that close() uses, and labels that have become one.")
    page.table(["driver", "before", "after", "added", "removed", "interrupts", "too early",
                "too late", "close()", "labels"], [r[1:] for r in rows if r[0] == "BEGUN"])


def median(values):
    return sorted(values)[len(values) // 2]


def figures(name):
    """(type, what) -> a figure for each round, of the lines of jobs/refscale.sh"""
    found = collections.OrderedDict()
    for line in job(name):
        f = line.split("\t")
        if f[0] == "REFSCALE":
            found.setdefault((f[1], f[2]), []).append(float(f[3]))
        elif f[0] == "DRAIN":
            found.setdefault((f[1], f[2]), []).append(float(f[4]))
    return found


def ratio(found, over, under):
    """Median, least and most of the ratios of two figures of the same round"""
    pairs = list(zip(found.get(over, []), found.get(under, [])))
    if not pairs:
        return "-"
    r = sorted(a / b for a, b in pairs)
    return "%.3g (%.3g to %.3g)" % (median(r), r[0], r[-1])


def sizes(page):
    """What lab/test.sh has measured of both kernels"""
    page.heading(2, "Cost: size of the code")
    base, ours = ({f[1]: int(f[2]) for f in (line.split("\t") for line in
                                             lines(os.path.join(LOGS, name, "sizes")))}
                  for name in ("bench-base", "bench"))
    if not base or not ours:
        page.text(NOT_RUN)
        return
    page.text("Bytes of code and constants of the same kernels, as size counts them. "
              "The first row is the kernel without its modules, each of the others the "
              "objects of one part, be it built in or a module.")
    page.table(["", "unpatched", "patched", "", ""],
               [[name, base.get(name, "-"), n, "%+d" % (n - base.get(name, 0)),
                 "%+.2f %%" % (100 * n / base[name] - 100) if name in base else ""]
                for name, n in ours.items()])


def unbind(page):
    """What jobs/unbind.c has printed on both kernels"""
    page.heading(2, "Cost: how long an unbind takes, and memory")
    seen, kept = [], []
    for name in ("unbind-base", "unbind"):
        found, memory = {}, {}
        for line in job(name):
            f = line.split("\t")
            if f[0] in ("UNBIND", "WOKEN"):
                found[f[0], f[1], f[2]] = [int(v) for v in f[3:]]
            elif f[0] == "MEMORY":
                memory[f[1]] = int(f[2])
        seen.append(found)
        kept.append(memory)
    base, ours = seen
    if not base or not ours:
        page.text(NOT_RUN)
        return
    page.text("vivid with all its nodes, on kernels without debug options, on the one "
              "CPU of a QEMU that counts instructions as time. Calls asleep are in "
              "DQEVENT. Medians of 11 unbinds.")
    titles = {"sleepers": "%s calls asleep", "devices": "idle, n_devs=%s"}
    rows = []
    for kind, what, n in ours:
        if kind == "UNBIND" and (kind, what, n) in base:
            a, b = (median(s[kind, what, n]) for s in seen)
            woken = [str(median(s["WOKEN", what, n])) for s in seen if ("WOKEN", what, n) in s]
            rows.append([titles[what] % n, a, b, "%.2f" % (b / a), ", ".join(woken)])
    page.table(["", "unpatched, us", "patched, us", "ratio", "calls that returned"], rows)
    page.table(["memory, bytes", "unpatched", "patched"],
               [[what, kept[0][what], n] for what, n in kept[1].items() if what in kept[0]])


def refscale(page):
    page.heading(2, "Cost: the gate beside other mechanisms")
    exact, found = figures("refscale-icount"), figures("refscale")
    types = list(collections.OrderedDict.fromkeys(t for t, _ in found))
    if "cdev" not in types:
        page.text(NOT_RUN)
        return
    page.text("To enter and to leave, in kernel/rcu/refscale.c. Instructions are "
              "QEMU's count for one loop. The rest are ratios, seen in an emulator: "
              "what costs atomic operations, barriers and cache lines on real CPUs "
              "is not in them. They are the median of the rounds, with the least and "
              "the most; each round's figure is the median of its runs. \"jiffies\" "
              "is the loop and a load; kernfs and drm are modelled on "
              "kernfs_get_active() and drm_dev_enter().")
    page.table(["type", "instructions", "1 reader, cdev = 1", "2 readers, cdev = 1",
                "2 readers, 1 reader = 1"],
               [[t, "%.0f" % median(exact[t, "1"]) if (t, "1") in exact else "-",
                 ratio(found, (t, "1"), ("cdev", "1")),
                 ratio(found, (t, "2"), ("cdev", "2")),
                 ratio(found, (t, "2"), (t, "1"))] for t in types])
    page.text("To refuse readers and wait for those inside: idle, and from the "
              "moment when the one reader, asleep for 50 ms, leaves. In virtual time "
              "a nanosecond is an instruction of the one CPU there is, and a timer "
              "takes what it says. The ratios, with two CPUs, have in them how long "
              "the host takes to run the one that is woken.")
    page.table(["type", "idle, virtual us", "after a reader, virtual us",
                "idle, cdev = 1", "after a reader, cdev = 1"],
               [[t] + ["%.3g" % (median(exact[t, what]) / 1000) if (t, what) in exact else "-"
                       for what in ("idle", "reader")]
                + [ratio(found, (t, what), ("cdev", what)) for what in ("idle", "reader")]
                for t in types if (t, "idle") in found])


def main():
    page = Page()
    if sys.argv[1:] == ["bench"]:
        bench(page)
        print("\n\n".join(page.md))
        return
    page.heading(1, "Safe removal of V4L2 devices: what the lab has seen")
    head = subprocess.run(["git", "-C", os.path.join(ROOT, "build/tree"), "rev-list",
                           "--count", "base..HEAD"], capture_output=True, text=True)
    page.text("Linux 7.3.4, unpatched, and with the %s patches of the series. Every number "
              "comes from the logs in build/logs: of debug kernels unless it says "
              "otherwise, in UML or under QEMU's emulation." % (head.stdout.strip() or "?"))
    checks(page)
    matrix(page)
    controls(page)
    comments(page, "Torture", ["torture-uml", "torture-x86_64", "torture-x86_64-kcsan",
                               "torture-x86_64-kcsan-control"],
             r"^# .*(removals|in a removed device|offlined|KCSAN)")
    comments(page, "Fault injection", ["faults-uml"], r"^(not )?ok |^# .*allocations")
    coccicheck(page)
    stress(page, "stress-uml", "All five drivers under load")
    stress(page, "times-uml", "The same without debug options: how long an unbind takes")
    stress(page, "endurance-uml", "Endurance: vivid under load, without debug options, idle time skipped")
    bench(page)
    page.heading(2, "The runs that this is of")
    page.table(["commit", "logs"],
               [(c, ", ".join(sorted(set(n)))) for c, n in sorted(READ.items())])
    page.write()
    path = os.path.join(OUT, "proof.html")
    print(os.path.relpath(path, os.getcwd()), flush=True)
    if sys.argv[1:] == ["open"] and (os.environ.get("DISPLAY") or
                                     os.environ.get("WAYLAND_DISPLAY")):
        webbrowser.open(pathlib.Path(path).as_uri())


if __name__ == "__main__":
    sys.exit(main())
