# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""The design's targets, each held against what was measured."""
from values import Spread, size

OURS = {"modules": "ours"}
STOCK = {"modules": "stock"}
COSTS = {"kernel": "7.2", "phase": "costs"}
OVERLAP = {"kernel": "7.2", "phase": "overlap"}
EXPLICIT = {"memory": "explicit"}


class Target:
    """good: True, False, "unclear" (the spread reaches over the limit), None where nothing was measured."""

    def __init__(self, question, limit, found="not measured", good=None, where="costs"):
        self.question, self.limit, self.found, self.good = question, limit, found, good
        self.where = where

    def mark(self):
        return {True: "met", False: "SHORT", "unclear": "unclear", None: "–"}[self.good]


def from_spread(question, limit, spread, at_least=None, at_most=None, form="%.3f", where="costs"):
    if spread is None:
        return Target(question, limit, where=where)
    good = spread.median >= at_least if at_least is not None else spread.median <= at_most
    reaches = spread.high >= at_least if at_least is not None else spread.low <= at_most
    if not good and reaches:
        good = "unclear"
    return Target(question, limit, spread.text(form), good, where)


def warm_points(values, run, modules, kernel="7.2", ratio_of=None):
    """(verb, size, ratio) of all verbs, to pinned unless told otherwise; higher is better for all of them."""
    ratio_of = ratio_of or values.to_base
    points = []
    metrics = ("rate", "operations") if run == "bw" else ("mean",)
    for metric in metrics:
        wanted = dict(kernel=kernel, phase="costs", modules=modules, run=run, memory="explicit", metric=metric)
        for what in ("write", "read", "send", "atomic"):
            for x in values.xs(what=what, **wanted):
                ratio = ratio_of(what=what, x=x, **wanted)
                if ratio:
                    if run == "lat":
                        ratio.median = 1 / ratio.median
                        ratio.low, ratio.high = 1 / ratio.high, 1 / ratio.low
                    points.append((what, x, ratio))
    return points


def warm(values):
    targets = []
    for run, title in (("bw", "bandwidth, on demand : pinned"), ("lat", "latency, pinned : on demand")):
        ours = warm_points(values, run, "ours")
        stock = {(what, x): r for what, x, r in warm_points(values, run, "stock")}
        for what in ("write", "read", "send", "atomic"):
            mine = [(x, r) for w, x, r in ours if w == what]
            if not mine:
                continue
            found = ", ".join("%s %.3f%s" % (size(x), r.median,
                              " (stock %.3f)" % stock[what, x].median if (what, x) in stock else "")
                              for x, r in mine)
            good = all(r.median >= 0.98 for _, r in mine)
            if not good and all(r.high >= 0.98 for _, r in mine):
                good = "unclear"
            targets.append(Target("warm %s, %s" % (title, what), "≥ 0.98", found, good))
    return targets


def warm_beside_stock(values):
    """Both on demand."""
    targets = []
    for run, title in (("bw", "bandwidth"), ("lat", "latency, turned over")):
        points = warm_points(values, run, "ours",
                             ratio_of=lambda modules, **wanted: values.ratio(OURS, STOCK, **wanted))
        ratios = [r.median for _, _, r in points]
        if not ratios:
            continue
        found = ", ".join("%s %s" % (what, " ".join("%.3f" % r.median for w, _, r in points if w == what))
                          for what in dict.fromkeys(w for w, _, _ in points))
        good = min(ratios) >= 1 or ("unclear" if min(ratios) >= 0.98 else False)
        targets.append(Target("warm %s, ours on demand : stock on demand" % title, "not below", found, good))
    return targets


def sharing(values):
    return from_spread("two queue pairs on one region : on two regions, bandwidth", "≥ 0.98",
                       values.spread(**OVERLAP, **OURS, what="one region to own regions", memory="explicit",
                                     x=2, metric="write"), at_least=0.98, where="overlap")


def bound(values, what, cold):
    """What the ratio would be if copying and populating overlapped wholly."""
    rates = [values.spread(**OVERLAP, **OURS, run="fault", what="warm write " + what, metric="rate", **EXPLICIT),
             values.spread(**OVERLAP, **OURS, run="fault", what=what, metric="rate", memory="populate")]
    stock = values.spread(**STOCK, **cold)
    if not all(rates) or not stock:
        return ""
    return "; if the longer of copying and populating were all: %.2f" % (min(r.median for r in rates) / stock.median)


def first_touch(values):
    targets = []
    for what in ("zero", "thp", "file"):
        wanted = dict(**OVERLAP, run="fault", what="cold write " + what, metric="rate", **EXPLICIT)
        ratio = values.ratio(OURS, STOCK, **wanted)
        if ratio:
            target = from_spread("first touch of a large buffer, %s pages: ours : stock" % what, "≥ 2",
                                 ratio, at_least=2, form="%.2f", where="overlap")
            target.found += bound(values, what, wanted)
            targets.append(target)
        spread = values.spread(**OVERLAP, **OURS, **EXPLICIT, run="fault", what="cold write " + what, metric="time:max")
        if spread:
            targets.append(from_spread("… its time : max(warm copy, populate), %s pages" % what, "about 1",
                                       spread, at_most=1.25, form="%.2f", where="overlap"))
    return targets


def registration(values):
    common = dict(**COSTS, run="reg", what="register", metric="time", **EXPLICIT)
    medians = [values.spread(**common, **OURS, x=x).median for x in values.xs(**common, **OURS)]
    lengths = values.xs(**common, **OURS)
    targets = []
    if medians:
        worst = max(medians) / min(medians)
        targets.append(Target("registration of %s … %s: longest : shortest time" % (size(lengths[0]), size(lengths[-1])),
                              "flat", "%.2f (%.1f … %.1f µs)" % (worst, min(medians), max(medians)), worst <= 1.2))
    targets.append(from_spread("registration of 512 MiB, stock : ours", "≥ 100",
                               values.ratio(STOCK, OURS, **common, x=float(512 << 20)), at_least=100, form="%.0f"))
    memory = values.spread(**COSTS, **OURS, **EXPLICIT, run="reg", what="memory", x=float(1 << 40))
    targets.append(from_spread("kernel memory of an untouched 1 TiB region, KiB", "< 64", memory,
                               at_most=64, form="%.2f"))
    return targets


def invalidation(values):
    targets = []
    for call in ("munmap", "madvise"):
        targets.append(from_spread("%s of 1 page beside a region : no region" % call, "≤ 1.10",
                                   values.to_base(**COSTS, **OURS, **EXPLICIT, run="inval", what=call + " beside",
                                                  metric="p50"), at_most=1.10))
    wanted = dict(**COSTS, **OURS, run="sparse", what="madvise sparse", metric="p50")
    mine, none = values.by_round(memory="explicit", **wanted), values.by_round(memory="none", **wanted)
    walk = values.by_round(**COSTS, **OURS, run="sparse", what="walk")
    factors = [walk[i] / (mine[i] - none[i]) for i in mine if i in none and i in walk and mine[i] > none[i]]
    if factors:
        targets.append(from_spread("64 GiB with 1,000 pages: reading every slot : what we add to madvise", "≥ 10",
                                   Spread(factors), at_least=10, form="%.0f"))
    return targets


def prefetch(values):
    return [from_spread("prefetch, %s pages : MADV_POPULATE_WRITE" % page, "≤ 1.10",
                        values.to_base(**COSTS, **OURS, **EXPLICIT, run="prefetch", what="prefetch " + page,
                                       metric="time"), at_most=1.10)
            for page in ("small", "thp")
            if values.rows_of(**COSTS, **OURS, **EXPLICIT, run="prefetch", what="prefetch " + page)]


def traffic(values):
    targets = []
    for call in ("munmap", "madvise"):
        wanted = dict(**OVERLAP, **OURS, run="traffic", what=call + " inside traffic", metric="p99")
        mine, none = values.spread(memory="explicit", **wanted), values.spread(memory="none", **wanted)
        if not mine or not none:
            continue
        copy = values.spread(**COSTS, **OURS, run="bw", what="copy", x=4096.0)
        one = 4096 / copy.median if copy else 0.0
        targets.append(Target("%s under full traffic, p99, µs" % call,
                              "≤ without a region + a packet's copy (%.1f)" % one,
                              "%.0f, without a region %s" % (mine.median, none.text("%.0f")),
                              mine.median <= none.high + one, "overlap"))
    return targets


def storm(values):
    worst, pages, at = 0.0, 0, 0
    for row in values.rows_of(**OVERLAP, **OURS, **EXPLICIT, what="fault"):
        if row.metric in ("duplicates", "retries", "rnr nak") and row.run in ("storm", "scale"):
            pages += 1
            if row.high is not None and row.high > worst:
                worst, at = row.high, row.x
    if not pages:
        return []
    most = max(values.xs(**OVERLAP, **OURS, **EXPLICIT, what="fault"))
    return [Target("1 … %d queue pairs faulting at once: packets sent again, refused or timed out" % most,
                   "bounded", "%g at most%s" % (worst, " (%d queue pairs)" % at if worst else ""), worst <= 16 * most,
                   "overlap")]


def all_targets(values):
    return (warm(values) + warm_beside_stock(values) + [sharing(values)] + first_touch(values) +
            registration(values) + invalidation(values) + prefetch(values) + traffic(values) + storm(values))
