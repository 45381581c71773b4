# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""Plots by gnuplot. Colours are those of Okabe and Ito, told apart by colour-blind people too."""
import os
import subprocess

from targets import COSTS, EXPLICIT, OURS, OVERLAP, STOCK, warm_points
from values import size

BLUE, ORANGE, GREEN, RED, SKY, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#777777"
PREAMBLE = """
set terminal svg size %d,%d dynamic enhanced font 'Helvetica,Arial,sans-serif,14' background '#ffffff'
set output '%s'
set border 3 lc rgb '#555555'
set tics nomirror out textcolor rgb '#333333'
set grid lc rgb '#e0e0e0' lt 1 lw 0.7
set key outside bottom center horizontal Left reverse samplen 2 spacing 1.25 width 2 maxrows 3
set xlabel ' ' offset 0,0.4
set title '{/=16 %s}' offset 0,0.3
"""


def quoted(text):
    return text.replace("'", "''").replace("_", "\\_")


class Plot:
    """A gnuplot script that is put together and run."""

    def __init__(self, directory, name, title, width=820, height=470):
        self.directory, self.name, self.title = directory, name, title
        self.lines = [PREAMBLE % (width, height, os.path.join(directory, name + ".svg"), quoted(title))]
        self.blocks, self.curves = [], []

    def say(self, line):
        self.lines.append(line)

    def curve(self, rows, style, title):
        """rows: tuples of numbers or strings."""
        if not rows:
            return
        block = "$d%d" % len(self.blocks)
        body = "\n".join(" ".join('"%s"' % c if isinstance(c, str) else "%.9g" % c for c in row) for row in rows)
        self.blocks.append("%s << EOD\n%s\nEOD" % (block, body))
        self.curves.append("%s %s %s" % (block, style,
                                         "title '%s'" % quoted(title) if title else "notitle"))

    def draw(self):
        """The file's name, or None if there is nothing to draw."""
        if not self.curves:
            return None
        script = "\n".join(self.blocks + self.lines + ["plot " + ", \\\n     ".join(self.curves)]) + "\n"
        subprocess.run(["gnuplot"], input=script, text=True, check=True)
        return self.name + ".svg"


def line(colour, point=7, dash=1, width=2.2):
    return "using 1:2:3:4 with yerrorlines lc rgb '%s' pt %d ps 0.75 dt %d lw %g" % (colour, point, dash, width)


def points_of(values, xs, **wanted):
    rows = []
    for x in xs:
        spread = values.spread(x=x, **wanted)
        if spread and spread.median > 0:
            rows.append((x, spread.median, max(spread.low, spread.median / 50), spread.high))
    return rows


TIMES = "set ytics (%s)" % ", ".join("'%s' %g" % t for t in (
    ("10 µs", 10), ("100 µs", 100), ("1 ms", 1e3), ("10 ms", 1e4), ("100 ms", 1e5), ("1 s", 1e6)))


def apart(rows, k):
    """Moved a little, so that the spreads of curves do not hide one another."""
    return [(row[0] * (1 + 0.025 * k),) + tuple(row[1:]) for row in rows]


def lengths_axis(plot, xs):
    plot.say("set logscale x 2")
    plot.say("set xtics (%s)" % ", ".join("'%s' %.0f" % (size(x), x) for x in xs))
    plot.say("set xrange [%g:%g]" % (xs[0] / 1.6, xs[-1] * 1.6))


def by_length(values, plot, what, metric, pinned):
    """What a region costs by its length; the lengths, or None where nothing was measured."""
    common = dict(**COSTS, run="reg", what=what, metric=metric)
    xs = values.xs(**common, **OURS, **EXPLICIT)
    if not xs:
        return None
    lengths_axis(plot, xs)
    plot.say("set logscale y")
    plot.curve(points_of(values, xs, memory="pinned", **STOCK, **common), line(GREY, 5, 2), pinned)
    plot.curve(points_of(values, xs, **EXPLICIT, **STOCK, **common), line(ORANGE, 9), "stock 7.2 on demand")
    plot.curve(points_of(values, xs, **EXPLICIT, **OURS, **common), line(BLUE), "ours, on demand")
    return xs


def registration(values, directory):
    plot = Plot(directory, "registration", "Time to register memory, by its length")
    if not by_length(values, plot, "register", "time", "stock, pinned (memory present)"):
        return None
    plot.say("%s\nset yrange [10:1e6]\nset ylabel 'time (4 ns an instruction)'" % TIMES)
    plot.say("set xlabel 'length of the region'")
    refused = {(r.x, 3e5) for r in values.rows_of(**COSTS, run="reg", what="register", metric="-", **EXPLICIT, **STOCK)}
    plot.curve(sorted(refused), "using 1:2 with points lc rgb '%s' pt 2 ps 1.4 lw 2.5" % ORANGE,
               "stock 7.2 on demand: refused")
    return plot.draw()


def memory(values, directory):
    plot = Plot(directory, "memory", "Kernel memory of a registered region, by its length")
    if not by_length(values, plot, "memory", "kernel", "stock, pinned (without the memory itself)"):
        return None
    plot.say("set ytics ('100 B' 0.09765625, '1 KiB' 1, '10 KiB' 10, '100 KiB' 100, '1 MiB' 1024, '10 MiB' 10240)")
    plot.say("set yrange [0.3:4096]\nset ylabel 'kernel memory a region'")
    plot.say("set xlabel 'length of the region (nothing of it touched, but for pinned)'")
    return plot.draw()


def bars(plot, groups, series, label):
    """series: (title, colour, [Spread or None, one a group])"""
    n = len(series)
    width = 0.8 / n
    plot.say("set style fill solid 0.9 border rgb '#ffffff'\nset boxwidth %g\nset ylabel '%s'" % (width * 0.95, label))
    plot.say("set yrange [0:*]\nset xrange [-0.6:%g]" % (len(groups) - 0.4))
    plot.say("set xtics (%s)" % ", ".join("'%s' %d" % (quoted(g), i) for i, g in enumerate(groups)))
    for k, (title, colour, spreads) in enumerate(series):
        rows = [(i + (k - (n - 1) / 2) * width, s.median, s.low, s.high) for i, s in enumerate(spreads) if s]
        plot.curve(rows, "using 1:2 with boxes lc rgb '%s'" % colour, title)
        plot.curve(rows, "using 1:3:(0):($4-$3) with vectors nohead lc rgb '#333333' lw 1.2", "")


def first_touch(values, directory):
    plot = Plot(directory, "first-touch", "First touch of a buffer by large writes, two processors", height=500)
    kinds = [k for k in ("zero", "thp", "file", "cow", "swapped")
             if values.rows_of(**OVERLAP, **OURS, run="fault", what="cold write " + k)]
    names = {"zero": "untouched, 4 KiB pages", "thp": "untouched, 2 MiB pages", "file": "file in page cache",
             "cow": "shared with a child", "swapped": "swapped out"}

    def get(modules, what, memory):
        return [values.spread(**OVERLAP, **modules, run="fault", what=(what + " " + k).strip(), memory=memory,
                              metric="rate") for k in kinds]

    if not kinds:
        return None
    bars(plot, [names[k] for k in kinds],
         [("stock: warm, pinned", GREY, get(STOCK, "warm write", "pinned")),
          ("stock: warm", SKY, get(STOCK, "warm write", "explicit")),
          ("stock: cold", ORANGE, get(STOCK, "cold write", "explicit")),
          ("ours: warm", GREEN, get(OURS, "warm write", "explicit")),
          ("ours: cold", BLUE, get(OURS, "cold write", "explicit"))], "MB/s")
    return plot.draw()


def warm(values, directory, run, title):
    plot = Plot(directory, "warm-" + run, title, height=500)
    series = [("ours, 7.2", BLUE, 7, "ours", "7.2"), ("ours, 6.12", GREEN, 9, "ours", "6.12"),
              ("stock, 7.2", ORANGE, 5, "stock", "7.2")]
    found = {name: warm_points(values, run, modules, kernel) for name, _, _, modules, kernel in series}
    labels = []
    for points in found.values():
        for what, x, _ in points:
            if (what, x) not in labels:
                labels.append((what, x))
    order = ("write", "read", "send", "atomic")
    labels.sort(key=lambda l: (order.index(l[0]), l[1]))
    if not labels:
        return None
    plot.say("set xtics (%s) rotate by -35" % ", ".join("'%s %s' %d" % (w, size(x), i) for i, (w, x) in enumerate(labels)))
    medians = [r.median for points in found.values() for _, _, r in points]
    plot.say("set xrange [-0.6:%g]\nset yrange [%g:%g]\nset ylabel '%s'" % (
        len(labels) - 0.4, min([0.93] + medians) - 0.03, max([1.04] + medians) + 0.03, title.split(": ", 1)[1]))
    plot.say("set arrow from graph 0,first 0.98 to graph 1,first 0.98 nohead lc rgb '%s' dt 2 lw 1.5" % RED)
    plot.say("set arrow from graph 0,first 1 to graph 1,first 1 nohead lc rgb '#888888' lw 1")
    plot.say("set label 'target 0.98' at graph 1,first 0.98 right offset 0,-0.6 font ',11' textcolor rgb '%s'" % RED)
    for k, (name, colour, point, _, _) in enumerate(series):
        rows = [(labels.index((w, x)) + (k - 1) * 0.18, r.median, r.low, r.high) for w, x, r in found[name]]
        plot.curve(rows, "using 1:2:3:4 with yerrorbars lc rgb '%s' pt %d ps 0.9 lw 1.6" % (colour, point), name)
    return plot.draw()


def cdf(values, directory):
    plot = Plot(directory, "invalidation", "munmap of a page of a region, while the device writes into it (two processors)")
    curves = (("no region (traffic into pinned memory)", GREY, "ours", "none", 2),
              ("stock 7.2 on demand", ORANGE, "stock", "explicit", 1), ("ours, on demand", BLUE, "ours", "explicit", 1))
    plot.say("set logscale x\nset xlabel 'microseconds'\nset ylabel 'calls that took at most as long, percent'\nset yrange [0:100]")
    for title, colour, modules, memory_kind, dash in curves:
        wanted = dict(**OVERLAP, modules=modules, memory=memory_kind, run="traffic", what="munmap inside traffic",
                      metric="quantile")
        rows = [(values.spread(x=x, **wanted).median, x) for x in values.xs(**wanted)]
        plot.curve(rows, "using 1:2 with lines lc rgb '%s' lw 2.4 dt %d" % (colour, dash), title)
    return plot.draw()


def costs(values, directory):
    plot = Plot(directory, "invalidation-cost", "munmap and madvise of one page, one processor", height=440)
    cases = ("munmap beside", "munmap inside", "madvise beside", "madvise inside")
    groups = ["munmap\\nbeside a region", "munmap\\nin a region", "madvise\\nbeside a region", "madvise\\nin a region"]

    def get(modules, memory):
        return [values.spread(**COSTS, **modules, run="inval", what=what, memory=memory, metric="p50") for what in cases]

    series = [("no region", GREY, get(OURS, "none")), ("stock 7.2 on demand", ORANGE, get(STOCK, "explicit")),
              ("ours, on demand", BLUE, get(OURS, "explicit")), ("ours, implicit", SKY, get(OURS, "implicit"))]
    if not any(any(s) for _, _, s in series):
        return None
    bars(plot, groups, series, "microseconds (4 ns an instruction)")
    plot.say("set xtics (%s)" % ", ".join('"%s" %d' % (g, i) for i, g in enumerate(groups)))
    return plot.draw()


def scaling(values, directory):
    plot = Plot(directory, "scaling", "Queue pairs that write to one region, or each to its own")
    wanted = dict(**OVERLAP, metric="rate")
    xs = values.xs(**wanted, what="write one region", **OURS, **EXPLICIT)
    plot.say("set xlabel 'queue pairs'\nset ylabel 'MB/s, all together'\nset yrange [0:*]\nset logscale x 2")
    if xs:
        plot.say("set xtics (%s)\nset xrange [%g:%g]" % (", ".join("%d" % x for x in xs), xs[0] / 1.2, xs[-1] * 1.2))
    for k, (title, colour, dash, modules, what) in enumerate((("ours, one region", BLUE, 1, OURS, "write one region"),
                                               ("ours, own regions", SKY, 2, OURS, "write own regions"),
                                               ("stock, one region", RED, 1, STOCK, "write one region"),
                                               ("stock, own regions", ORANGE, 2, STOCK, "write own regions"))):
        plot.curve(apart(points_of(values, xs, what=what, **modules, **EXPLICIT, **wanted), k - 2),
                   line(colour, 7, dash), title)
    plot.curve(apart(points_of(values, xs, what="write one region", memory="pinned", **OURS, **wanted), 2),
               line(GREY, 5, 3), "pinned")
    return plot.draw()


def storm(values, directory):
    plot = Plot(directory, "storm", "Queue pairs that touch cold pages at once")
    wanted = dict(**OVERLAP, what="fault")
    xs = values.xs(**wanted, **OURS, **EXPLICIT, metric="cold", run="storm")
    if not xs:
        return None
    plot.say("set logscale x 2\nset xlabel 'queue pairs'\nset ylabel 'MB/s, all together (messages of one page)'\nset yrange [0:*]")
    plot.say("set xtics (%s)\nset xrange [%g:%g]" % (", ".join("%d" % x for x in xs), xs[0] / 1.3, xs[-1] * 1.3))
    for k, (title, colour, dash, modules, memory_kind, metric) in enumerate((
            ("pinned", GREY, 3, OURS, "pinned", "warm"), ("ours, warm", SKY, 2, OURS, "explicit", "warm"),
            ("ours, cold", BLUE, 1, OURS, "explicit", "cold"), ("stock, warm", ORANGE, 2, STOCK, "explicit", "warm"),
            ("stock, cold", RED, 1, STOCK, "explicit", "cold"))):
        plot.curve(apart(points_of(values, xs, memory=memory_kind, metric=metric, run="storm", **modules, **wanted), k - 2),
                   line(colour, 7, dash), title)
    return plot.draw()


def all_plots(values, directory):
    """(file, what it is of)"""
    made = [
        (registration(values, directory), "Registration: median, lowest and highest round."),
        (memory(values, directory), "What the kernel keeps for a region of which nothing was touched."),
        (warm(values, directory, "bw", "Bandwidth on memory that is present: on demand : pinned"),
         "Counted instructions; higher is better; lines are quartiles or rounds."),
        (warm(values, directory, "lat", "Latency on memory that is present: pinned : on demand"),
         "Counted instructions; higher is better."),
        (first_touch(values, directory), "Cold: never touched before. Warm: the same buffer once more."),
        (costs(values, directory), "Counted instructions."),
        (cdf(values, directory), "How long munmap takes under full traffic."),
        (scaling(values, directory), "All memory present."),
        (storm(values, directory), "Each queue pair touches its own pages of one region."),
    ]
    return [(name, text) for name, text in made if name]
