# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""What the guests measured: values, their medians over rounds, and ratios."""
import csv
import glob
import os
import statistics

FIELDS = ("kernel phase modules round run program what memory x metric unit n median low high "
          "base ratio ratio_low ratio_high note").split()


class Row:
    """One case of one run of one program."""

    def __init__(self, origin, fields):
        self.kernel, self.phase, self.modules, self.round, self.run = origin
        self.round = int(self.round)
        for name in ("program", "what", "memory", "metric", "unit", "base", "note"):
            setattr(self, name, fields[name])
        for name in ("x", "n", "median", "low", "high", "ratio", "ratio_low", "ratio_high"):
            setattr(self, name, float(fields[name]) if fields[name] else None)


class Spread:
    """A median and what it lies between."""

    def __init__(self, values, low=None, high=None):
        self.n = len(values)
        self.median = statistics.median(values)
        self.low = min(values) if low is None else low
        self.high = max(values) if high is None else high

    def text(self, form="%.3g"):
        if self.n == 1 and self.low == self.high:
            return form % self.median
        return "%s (%s … %s)" % (form % self.median, form % self.low, form % self.high)


class Values:
    """All rows of all guests below a directory."""

    def __init__(self, directory):
        self.rows = []
        self.perftest = []
        self.facts = {}
        self.problems = []
        for guest in sorted(glob.glob(os.path.join(directory, "guests", "*"))):
            self._read_guest(guest)
        self.host = read_facts(os.path.join(directory, "facts"))

    def _read_guest(self, guest):
        self.facts[os.path.basename(guest)] = read_facts(os.path.join(guest, "facts"))
        for path in sorted(glob.glob(os.path.join(guest, "csv", "*.csv"))):
            name = os.path.basename(path)[:-4]
            # a kernel's name has a dot of its own
            major, minor, *rest = name.split(".")
            with open(path, newline="") as file:
                for fields in csv.DictReader(file):
                    self.rows.append(Row([major + "." + minor] + rest, fields))
        for path in sorted(glob.glob(os.path.join(guest, "csv", "*.perftest.txt"))):
            major, minor, phase, modules, turn, *_ = os.path.basename(path).split(".")
            with open(path) as file:
                for line in file:
                    program, memory, value = line.strip().split(",")
                    if value:
                        self.perftest.append((modules, program, memory, float(value)))
        problems = os.path.join(guest, "problems")
        if os.path.exists(problems):
            with open(problems) as file:
                self.problems += [line.strip() for line in file]

    def rows_of(self, **wanted):
        return [r for r in self.rows if all(getattr(r, k) == v for k, v in wanted.items())]

    def by_round(self, **wanted):
        """Round -> value."""
        return {r.round: r.median for r in self.rows_of(**wanted) if r.median is not None}

    def spread(self, **wanted):
        rows = [r for r in self.rows_of(**wanted) if r.median is not None]
        if not rows:
            return None
        if len(rows) == 1:
            return Spread([rows[0].median], rows[0].low, rows[0].high)
        return Spread([r.median for r in rows])

    def ratio(self, over, under, **common):
        """Ratios of what was measured in the same round; None if there is no such round."""
        a = self.by_round(**{**common, **over})
        b = self.by_round(**{**common, **under})
        values = [a[i] / b[i] for i in a if b.get(i)]
        return Spread(values) if values else None

    def to_base(self, **wanted):
        """Ratios that the program took, repetition by repetition."""
        rows = [r for r in self.rows_of(**wanted) if r.ratio is not None]
        if not rows:
            return None
        if len(rows) == 1:
            return Spread([rows[0].ratio], rows[0].ratio_low, rows[0].ratio_high)
        return Spread([r.ratio for r in rows])

    def xs(self, **wanted):
        return sorted({r.x for r in self.rows_of(**wanted)})

    def write_csv(self, path):
        with open(path, "w", newline="") as file:
            out = csv.writer(file)
            out.writerow(FIELDS)
            for row in self.rows:
                out.writerow([getattr(row, name) for name in FIELDS])


def read_facts(path):
    facts = {}
    if os.path.exists(path):
        with open(path) as file:
            for line in file:
                name, _, value = line.strip().partition(" ")
                facts[name] = value
    return facts


def size(x):
    """4096 -> 4 KiB"""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if x < 1024:
            return "%g %s" % (x, unit)
        x /= 1024
    return "%g PiB" % x
