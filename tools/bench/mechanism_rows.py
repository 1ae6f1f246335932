# SPDX-License-Identifier: GPL-2.0-only
"""The mechanism's half of `make bench`: its guests one after the other, and the lines of its tables."""

import statistics

from vbpvm import accel as accelerator
from vbpvm import kernels, qemus

import settings
from figures import Figure
from mechanism import DEFLATE_LIMIT, HOSTS, HUGE_LIMIT, ORDER9_LIMIT, PING_LIMIT_MS, measure, p99
from settings import say

ROUNDS, QUICK_ROUNDS = 7, 2
SIZES = "2048 8192"


def spread(values):
    return f"{statistics.median(values):.0f} ({min(values):.0f}-{max(values):.0f})"


def rows_of(figures):
    """(what, host, measured, wanted, whether that is reached) for one kernel and size."""
    def ratio(values, others):
        return statistics.median(values) / statistics.median(others)

    slow = figures["in-tree", False]
    for host in HOSTS:
        zeroed, plain = figures.get((host.key, True)), figures[host.key, False]
        yield "inflate, ms", host, spread(plain["inflate_ms"]), "memory not zeroed", None
        yield "deflate, ms", host, spread(plain["deflate_ms"]), "", None
        if not host.ours:
            continue
        pairs = [mine / bare for mine, bare in zip(zeroed["inflate_ms"], zeroed["bare_ms"])]
        yield ("inflate / bare allocation, memory zeroed", host, f"{statistics.median(pairs):.2f} ({min(pairs):.2f}-{max(pairs):.2f})",
               f"at most {host.inflate_limit}", statistics.median(pairs) <= host.inflate_limit)
        for what, limit in (("inflate", host.faster_limit), ("deflate", DEFLATE_LIMIT)):
            factor = ratio(slow[f"{what}_ms"], plain[f"{what}_ms"])
            yield f"{what}, faster than in-tree", host, f"{factor:.1f} times", f"at least {limit}", factor >= limit
        yield ("pages allocated before relief", host, str(zeroed["gap_pages"]), f"less than {zeroed['gap_limit']}",
               0 <= zeroed["gap_pages"] < zeroed["gap_limit"])
        if zeroed["huge"] is None:
            yield "part in huge pages of the host / before", host, "-", "skipped: the host has transparent huge pages off", None
        else:
            yield ("part in huge pages of the host / before", host, f"{zeroed['huge']:.2f}", f"at least {HUGE_LIMIT}",
                   zeroed["huge"] >= HUGE_LIMIT)
        yield ("order-9 allocations / before", host, f"{zeroed['order9']:.2f}", f"at least {ORDER9_LIMIT}",
               zeroed["order9"] >= ORDER9_LIMIT)
        if host.patched:
            idle, busy = p99(zeroed["ping_idle_ms"]), p99(zeroed["ping_inflating_ms"])
            yield ("QMP round trip while inflating, p99", host, f"{busy:.1f} ms", f"at most {idle + PING_LIMIT_MS:.1f}",
                   busy <= idle + PING_LIMIT_MS)
        stages = zeroed["stages_ms"]
        kick = stages["virtqueue_kick"] + stages["virtqueue_notify"]
        hold, alloc = stages["vbp_pages_hold"], stages["vbp_pages_alloc"]
        rest = stages["vbp_pages_inflate"] + stages["vbp_pages_inflated"] - kick - hold
        yield ("  of which, ms", host, f"allocation {alloc:.0f}, kick {kick:.0f}, filling and waiting {rest:.0f}, accounting {hold:.0f}",
               "traced, one run", None)



def run_all(show, save):
    """
    show(title, lines): a table; save(records, figures): what there is so far, after each. Returns the figures.
    """
    rounds = QUICK_ROUNDS if settings.QUICK else ROUNDS
    saved, judged = [], []
    for series in settings.kernels():
        kernel, module = kernels.get(series), kernels.our_module(series)
        for mem in settings.sizes(SIZES):
            figures = {}
            for zeroed in (False, True):
                for host in HOSTS:
                    if zeroed and not host.ours:
                        continue
                    say(f"Linux {series}, {mem} MiB, {host.title}, init_on_alloc={int(zeroed)}")
                    figures[host.key, zeroed] = measure(kernel, module, qemus.patched(), host, mem, zeroed, rounds)
                    saved.append({"kernel": kernel.release, "mem_mib": mem, "host": host.key, "init_on_alloc": zeroed,
                                  "figures": figures[host.key, zeroed]})
            lines = []
            for what, host, value, wanted, reached in rows_of(figures):
                lines.append((what, host.title, value, wanted + ("  NOT REACHED" if reached is False else "")))
                if reached is not None:
                    judged.append(Figure(f"Linux {series}, {mem} MiB", "mechanism", host.title, what.strip(), value, wanted, reached))
            show(f"Linux {kernel.release}, guest of {mem} MiB, half of it ballooned, {rounds} rounds, "
                 f"{accelerator.choose().upper()}; medians (and range)", lines)
            save(saved, judged)
    return judged
