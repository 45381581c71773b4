# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""report DIR: from what guests left in DIR/guests, make report.md, report.html, all.csv and plots."""
import html
import os
import statistics
import sys

sys.dont_write_bytecode = True

from plots import all_plots                    # noqa: E402
from targets import EXPLICIT, OURS, STOCK, all_targets   # noqa: E402
from values import Values, size                # noqa: E402

STYLE = """
body { font: 15px/1.5 sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0 } td, th { padding: .25em .7em; text-align: left; vertical-align: top }
th { border-bottom: 2px solid #888 } td { border-bottom: 1px solid #ddd }
.met { color: #00724f; font-weight: bold } .SHORT { color: #c04a00; font-weight: bold }
figure { margin: 1.5em 0 } figcaption { color: #555 } img { max-width: 100% }
details { margin: 1em 0 } code { background: #f2f2f2 }
"""


class Table:
    """Rows of text, for Markdown and for HTML."""

    def __init__(self, *head):
        self.head, self.rows = head, []

    def add(self, *cells):
        self.rows.append(cells)

    def markdown(self):
        def line(cells):
            return "| %s |" % " | ".join(str(c).replace("|", "\\|") for c in cells)
        return "\n".join([line(self.head), "|" + "---|" * len(self.head)] + [line(r) for r in self.rows])

    def html(self):
        def cell(text, tag):
            text = str(text)
            mark = " class='%s'" % text if text in ("met", "SHORT") else ""
            return "<%s%s>%s</%s>" % (tag, mark, html.escape(text), tag)
        rows = ["<tr>%s</tr>" % "".join(cell(c, "th") for c in self.head)]
        rows += ["<tr>%s</tr>" % "".join(cell(c, "td") for c in r) for r in self.rows]
        return "<table>%s</table>" % "\n".join(rows)


class Report:
    """The same parts twice: as Markdown and as HTML."""

    def __init__(self, title):
        self.md, self.page = ["# " + title], ["<h1>%s</h1>" % html.escape(title)]

    def heading(self, text):
        self.md.append("## " + text)
        self.page.append("<h2>%s</h2>" % html.escape(text))

    def text(self, text):
        self.md.append(text)
        self.page.append("<p>%s</p>" % html.escape(text))

    def table(self, table, summary=None):
        self.md.append(table.markdown() if not summary else
                       "<details><summary>%s</summary>\n\n%s\n\n</details>" % (summary, table.markdown()))
        self.page.append(table.html() if not summary else
                         "<details><summary>%s</summary>%s</details>" % (summary, table.html()))

    def figure(self, name, text, directory):
        self.md.append("![%s](%s)" % (text, name))
        with open(os.path.join(directory, name)) as file:
            svg = file.read()
        self.page.append("<figure>%s<figcaption>%s</figcaption></figure>" % (svg[svg.index("<svg"):], html.escape(text)))

    def write(self, directory, title):
        with open(os.path.join(directory, "report.md"), "w") as file:
            file.write("<!-- SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB -->\n" + "\n\n".join(self.md) + "\n")
        with open(os.path.join(directory, "report.html"), "w") as file:
            file.write("<!DOCTYPE html>\n<html lang='en'><meta charset='utf-8'><title>%s</title><style>%s</style>\n%s\n</html>\n"
                       % (html.escape(title), STYLE, "\n".join(self.page)))


def say_how(report, values):
    host = values.host
    table = Table("what", "")
    for name, title in (("command", "command"), ("date", "date"), ("commit", "source"), ("machine", "machine"),
                        ("qemu", "emulator"), ("accelerator", "accelerator"), ("load", "load of the machine")):
        if host.get(name):
            table.add(title, host[name])
    for guest, facts in sorted(values.facts.items()):
        if facts:
            table.add("guest " + guest, "Linux %s, %s processor%s, %s round%s, %s s" % (
                facts.get("kernel"), facts.get("cpus"), "" if facts.get("cpus") == "1" else "s",
                facts.get("rounds"), "" if facts.get("rounds") == "1" else "s", facts.get("seconds")))
    report.table(table)
    report.text("Everything was measured in QEMU guests, over one software device (rxe over a dummy network device, "
                "loopback). Absolute figures say little about other machines; ratios are what to look at. In one boot, "
                "the distribution's modules and ours took turns (rounds).")
    report.text("costs: a guest of one processor whose clock counts instructions, 4 ns each, so that what else the "
                "machine does is not in the figures. overlap: a guest of two processors in real time, which is "
                "noisy: the spread is part of the figure. Figures are medians; in brackets the lowest and highest "
                "round, or quartiles where there was one round.")
    if values.facts.get("costs-7.2", {}).get("cpus") and host.get("accelerator") == "kvm":
        report.text("This machine has KVM; guests that count instructions were emulated all the same.")


def show_targets(report, values):
    """In the report, and for whoever waits for it."""
    report.heading("Targets")
    table = Table("question", "target", "measured", "guest", "")
    for target in all_targets(values):
        table.add(target.question, target.limit, target.found, target.where, target.mark())
        print("%-7s  %s %s: %s" % (target.mark(), target.question, target.limit, target.found))
    report.table(table)


def show_perftest(report, values):
    if not values.perftest:
        return
    report.heading("Debian's perftest, messages of 64 KiB")
    report.text("Two processes, two processors; bandwidth in MB/s (average), latency in µs (median). Median of rounds.")
    table = Table("program", "stock pinned", "stock --odp", "ours pinned", "ours --odp", "ours: --odp : pinned")
    for program in sorted({p for _, p, _, _ in values.perftest}):
        found = {}
        for modules in ("stock", "ours"):
            for memory in ("pinned", "explicit"):
                v = [x for m, p, k, x in values.perftest if (m, p, k) == (modules, program, memory)]
                found[modules, memory] = statistics.median(v) if v else None
        cells = ["%.4g" % v if v is not None else "–" for v in found.values()]
        both = found["ours", "explicit"], found["ours", "pinned"]
        table.add(program, *cells, "%.2f" % (both[0] / both[1]) if all(both) else "–")
    report.table(table)


def show_kernels(report, values):
    """Ours on demand, beside pinned memory of both kernels' own modules."""
    wanted = dict(phase="costs", run="bw", metric="rate")
    if not values.rows_of(kernel="6.12", **wanted):
        return
    report.heading("Ours on demand beside the distribution's pinned memory")
    table = Table("messages", "6.12: stock pinned, MB/s", "6.12: ours on demand", "ratio",
                  "7.2: stock pinned, MB/s", "7.2: stock on demand", "7.2: ours on demand", "ratio ours : pinned")
    for what in ("write", "read", "send"):
        for x in values.xs(what=what, kernel="6.12", **OURS, **EXPLICIT, **wanted):
            cells = []
            for kernel, kinds in (("6.12", ((STOCK, "pinned"), (OURS, "explicit"))),
                                  ("7.2", ((STOCK, "pinned"), (STOCK, "explicit"), (OURS, "explicit")))):
                for modules, memory in kinds:
                    spread = values.spread(kernel=kernel, what=what, x=x, memory=memory, **modules, **wanted)
                    cells.append("%.1f" % spread.median if spread else "–")
                ratio = values.ratio({**OURS, **EXPLICIT}, {**STOCK, "memory": "pinned"}, kernel=kernel, what=what,
                                     x=x, **wanted)
                cells.append("%.3f" % ratio.median if ratio else "–")
            table.add("%s %s" % (what, size(x)), *cells)
    report.table(table)


def show_all(report, values):
    report.heading("All values")
    seen = {}
    for row in values.rows:
        if row.metric == "quantile":
            continue
        key = (row.kernel, row.phase, row.program, row.what, row.x, row.metric, row.unit, row.memory, row.modules)
        seen.setdefault(key, []).append(row)
    for program in sorted({k[2] for k in seen}):
        table = Table("kernel", "guest", "case", "x", "metric", "memory", "modules", "median", "low", "high", "rounds")
        for key, rows in seen.items():
            if key[2] != program:
                continue
            kernel, phase, _, what, x, metric, unit, memory, modules = key
            medians = [r.median for r in rows if r.median is not None]
            if not medians:
                table.add(kernel, phase, what, size(x), rows[0].note, memory, modules, "", "", "", len(rows))
                continue
            lows = medians if len(medians) > 1 else [rows[0].low, rows[0].high]
            table.add(kernel, phase, what, "%g" % x if x < 1024 else size(x), "%s (%s)" % (metric, unit), memory,
                      modules, "%.4g" % statistics.median(medians), "%.4g" % min(lows), "%.4g" % max(lows), len(medians))
        report.table(table, program)


def main():
    directory = sys.argv[1]
    values = Values(directory)
    title = "What on-demand paging costs"
    report = Report(title)
    say_how(report, values)
    show_targets(report, values)
    show_kernels(report, values)
    show_perftest(report, values)
    report.heading("Plots")
    for name, text in all_plots(values, directory):
        report.figure(name, text, directory)
    if values.problems:
        report.heading("What could not be measured")
        for line in values.problems:
            report.text(line)
    show_all(report, values)
    values.write_csv(os.path.join(directory, "all.csv"))
    report.write(directory, title)


main()
