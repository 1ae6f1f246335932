# SPDX-License-Identifier: GPL-2.0-only
"""
A test that cannot fail is worth nothing: here the driver is broken in one place at a time, where only guests test it, and the test
named with that must notice. (tests/unit/mutants.py does the same with the policy.) A mutant that nothing notices is a promise nobody
checks; one whose text is no longer in the driver is out of date: change it along with the driver.
"""

import contextlib
import fcntl
import re
import shutil
import subprocess
import threading

from vbpvm import GuestDied, HarnessError, MigrationRefused, kernels, paths
from vbpvm.channel import CommandTimeout
from vbpvm.qmp import QMPError
from vbpvm.runner import Test, case_of, vm_test

SERIES = "6.1"

# name, file of the driver, what it says, what the mutant says instead, the test that must fail, in every `make check`?
MUTANTS = [
    ("compaction waits for the host for ever", "host/queue.c",
     "\t\tif (time_after(jiffies, start + limit))\n\t\t\treturn -ETIMEDOUT;\n", "",
     "compaction.host", True),
    ("a page is moved though the host has not heard of others", "host/queue.c",
     "if (untold || buf->out ||", "if (buf->out ||",
     "compaction.host", False),
    ("pages are inflated before the host hears of others", "balloon/pages.c",
     "\terr = vbp_queue_tell_untold(vb, &landed);\n\tif (!err && vbp_reporting_takes_blocks(vb)",
     "\terr = 0;\n\tif (!err && vbp_reporting_takes_blocks(vb)",
     "compaction.memory_offline", True),
    ("a silent host is given no time on removal", "host/queue.c",
     "time_after(jiffies, since + VBP_REMOVE_WAIT) ||", "1 ||",
     "broken.silent", False),
    ("a silent host is given time on removal from when it fell silent", "host/queue.c",
     "\t\tif (!vbp_works_stopping(vb))\n\t\t\tsince = jiffies;\n\t\telse if (", "\t\tif (vbp_works_stopping(vb) && ",
     "broken.silent", False),
    ("pages are held before the host has returned their buffer", "host/queue.c",
     "\tdone = !buf->out;\n", "\tdone = true;\n",
     "hostile.pages", False),
    ("free pages go back to the kernel before the host has returned them", "host/reporting.c",
     "\terr = vbp_queue_wait(vb, &vb->host.report, report, VBP_OWN_WAIT);\n", "\terr = 0;\n",
     "hostile.pages", False),
    ("a host that must be told first is told later", "main.c",
     "vb->must_tell = virtio_has_feature(vdev,", "vb->must_tell = 0 && virtio_has_feature(vdev,",
     "hostile.pages", False),
    ("what was in flight at the reset is lost", "host/queue.c",
     "\tvbp_queue_take_all(&vb->host.inflate, &landed->out);\n", "",
     "hostile.pages", False),
    ("a host that answers slowly is waited for without end", "host/queue.c",
     " ||\n\t\t\t time_after(jiffies, READ_ONCE(vb->host.leave_by)))", ")",
     "hostile.costs", False),
    ("the host's interrupts are followed one by one", "works.c",
     "#define VBP_ASKED_GAP\t(HZ / 50)", "#define VBP_ASKED_GAP\t0",
     "hostile.costs", False),
    ("a page that was kept never comes back", "host/queue.c",
     "\tif (buf->leaving)\n\t\tput_page(buf->leaving);\n", "",
     "must_tell.must_tell", False),
    ("a page lost to compaction is not replaced", "balloon/migrate.c",
     "\tif (err == -ENOENT || !told)\n\t\tvbp_works_main(vb, 0);\n", "",
     "compaction.host", False),
    ("more leaves than lies in memory that goes offline", "balloon/leave.c",
     "pfn = ALIGN_DOWN(start_pfn, VBP_BLOCK_PAGES);", "pfn = ALIGN_DOWN(start_pfn - 1, VBP_BLOCK_PAGES);",
     "compaction.memory_offline", False),
    ("the node of which least is held gives first", "balloon/leave.c",
     "vb->balloon.nodes[i].block_pages >\n", "vb->balloon.nodes[i].block_pages <\n",
     "accounting.two_nodes", True),
    ("what a node has not got is leaving for ever", "balloon/leave.c",
     "vb->balloon.leaving_pages -= taken ? taken : nr_pages;", "vb->balloon.leaving_pages -= taken;",
     "accounting.two_nodes", False),
    ("a huge page pool gets nothing", "sensors/direct.c",
     "return order == VBP_BLOCK_ORDER && (gfp & __GFP_RETRY_MAYFAIL) &&\n\t       (gfp & __GFP_COMP) && !(gfp & __GFP_NOMEMALLOC);",
     "return false;",
     "pools.pools", False),
    ("what a cgroup reclaims at its own limit is counted", "sensors/vmpressure.c",
     "\tif (!current_is_kswapd())\n\t\treturn 0;\n", "",
     "scale.hook", False),
    ("a node without much free gives as much", "balloon/places.c",
     "\t\tall = room.kernel.free_pages + room.movable.free_pages;\n", "\t\tall = 1;\n",
     "zones.small_node", False),
    ("what a node is short of comes from any", "engine/relief.c",
     "\tif (decision->place)\n\t\twhere.nid = places->nid;\n", "",
     "zones.two_nodes", False),
    ("nobody looks at single nodes", "engine/relief.c",
     ".place = places->place,", ".place = {},",
     "zones.two_nodes", False),
    ("the kernel's zones give first", "balloon/pages.c",
     "if (min(pick.movable_pages, nr_pages) >= BIT(order)) {", "if (0) {",
     "zones.movable", False),
    ("a page that has moved is looked for where it lies", "balloon/migrate.c",
     "\telse\n\t\tlist->nr_pages--;\n", "\tlist->nr_pages--;\n\tif (!err)\n\t\tvbp_pages_of(vb, newpage)->nr_pages++;\n",
     "zones.movable", False),
    ("all blocks are looked at with the lock held", "balloon/leave.c",
     "\tvbp_account_update(vb);\n\tvb->balloon.leaving_pages -= taken",
     "\tvbp_account_update(vb);\n\t{ struct list_head *at; list_for_each(at, &vb->balloon.nodes[0].blocks) barrier(); }\n"
     "\tvb->balloon.leaving_pages -= taken",
     "scale.crowd_instructions", False),
]
NOTICED = (AssertionError, GuestDied, CommandTimeout, QMPError, MigrationRefused)


def build(series, file, old, new):
    """The path of the module with that change. One at a time, in one folder: kbuild then makes one object anew."""
    text = (paths.TOP / "driver" / file).read_text()
    if text.count(old) != 1:
        raise HarnessError(f"its text is in {file} {text.count(old)} times, not once; update the mutant")
    folder = paths.BUILD / "vm/mutants" / kernels.get(series).key
    folder.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Puts back what the last one changed.
        subprocess.run([paths.TOP / "tools/module.sh", "--sources", folder], check=True)
        (folder / "driver" / file).write_text(text.replace(old, new))
        made = subprocess.run(["make", "-C", kernels.get(series).headers, f"M={folder}", "modules"], capture_output=True, text=True)
        if made.returncode:
            raise HarnessError(f"it does not compile: {made.stderr.strip()[-400:]}")
        target = folder / f"mutant-{threading.get_ident()}.ko"
        shutil.copy(folder / "virtio_balloon_pressure.ko", target)
    return target


class _Collected:
    """Results of the test that is to fail."""

    def __init__(self):
        self.why = ""

    def add(self, verdict, name, why=""):
        if verdict == "FAIL":
            self.why = self.why or why


class _Once(Test):
    """A test that ends with the first thing that is wrong."""

    @contextlib.contextmanager
    def step(self, name):
        yield


def notice(t, case, module):
    """What the test says of that module, or "" if it finds nothing wrong."""
    said = _Collected()
    test = _Once(case, said)
    test.module, test.deadline, test.guests = module, t.deadline, t.guests
    try:
        case.function(test)
    except NOTICED as error:
        return str(error) or f"{type(error).__name__} at line {error.__traceback__.tb_next.tb_lineno}"
    finally:
        for vm in t.guests:
            shutil.rmtree(vm.dir, ignore_errors=True)
    return said.why


def mutant(name, file, old, new, test, usual):
    def run(t):
        module = build(t.series, file, old, new)
        try:
            said = notice(t, case_of(test, t.series), module)
        finally:
            module.unlink()
        assert said, f"{test} finds nothing wrong"
        t.note(f"noticed: {said}")
    run.__name__ = "test_" + re.sub(r"\W+", "_", name)
    vm_test(kernels=(SERIES,), full=not usual, timeout=300)(run)


for row in MUTANTS:
    mutant(*row)
