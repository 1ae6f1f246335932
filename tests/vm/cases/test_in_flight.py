# SPDX-License-Identifier: GPL-2.0-only
"""
A page may be used again only once the host has returned the buffer it was given with: before that, the host may still discard it.
Blocks leave the balloon while others are on their way into it, ten thousand times; a program checks what it wrote. That is a search:
test_broken.py has the proof, with a host that keeps the buffers.
"""

import os
import time

from vbpvm import MIB
from vbpvm.runner import vm_test

from helpers.common import check_books, free_pages, settle, unload, wait_for

GUEST, LARGE, SMALL = 1024, 900, 260
LOAD = 300                      # more than a guest of SMALL has: the load presses it while it inflates
BLOCKS, BLOCK = 10000, 512
SMALL_S, LOOK_S = 0.25, 0.04     # long enough for the load to grow into what the balloon has just taken
PRESSED_S = 0.5                 # a slow machine takes longer until that presses the guest,
FIRST_S = 10                    # and as long as it never has, nothing was tried
SECONDS = 150


def churn(vm):
    """
    Inflates while the guest presses back, until BLOCKS have been given back; returns (loads, relief pages). A driver bound anew
    knows nothing of earlier reliefs: no hold-off keeps it from inflating at once.
    """
    name, driver = os.path.basename(vm.virtio_device()), "/sys/bus/virtio/drivers/virtio_balloon_pressure"
    job = vm.spawn(f"while vbp-touch {LOAD} --quiet --verify; do :; done")
    limit = time.monotonic() + SECONDS
    start = vm.vmstat()["balloon_deflate"]
    relief = 0
    vm.balloon(SMALL * MIB)
    while vm.vmstat()["balloon_deflate"] - start < BLOCKS * BLOCK:
        assert time.monotonic() < limit, f"only {(vm.vmstat()['balloon_deflate'] - start) // BLOCK} blocks in {SECONDS} s"
        assert job.rc is None, f"the load has ended: {job.out}"
        time.sleep(SMALL_S)
        pressed = time.monotonic() + (PRESSED_S if relief else FIRST_S)
        while not vm.pressure("relief_pages") and time.monotonic() < pressed:
            time.sleep(LOOK_S)
        relief += vm.pressure("relief_pages")
        vm.run(f"echo {name} >{driver}/unbind && echo {name} >{driver}/bind")
    job.kill()
    job.wait()
    assert "corrupt" not in job.out, job.out
    return job.out.count("result ok"), relief


def check(t, **options):
    # Zeroing what is allocated would leave the host all the time it needs, and take most of the test's.
    with t.boot(mem=GUEST, append="init_on_alloc=0", **options) as vm:
        free = free_pages(vm)
        vm.load_ours()
        loads, relief = churn(vm)
        t.note(f"{loads} loads, {relief // BLOCK} blocks of relief")
        assert loads > 2 and relief > 0, (loads, relief)
        vm.balloon(LARGE * MIB)
        settle(vm)
        check_books(vm)
        unload(vm)
        wait_for(vm, lambda: free - free_pages(vm) < 4 * MIB // 4096, "every page is back", 20)


@vm_test(kernels=("6.12",))
def test_queue(t):
    check(t, balloon="deflate-on-oom=on")


@vm_test(either=True)
def test_reports(t):
    check(t, balloon="deflate-on-oom=on,free-page-reporting=on")


@vm_test(either=True, patched=True)
def test_ranges(t):
    check(t, balloon="guest-pressure=on")


@vm_test(either=True, patched=True, full=True)
def test_reported_ranges(t):
    check(t, balloon="guest-pressure=on,free-page-reporting=on")
