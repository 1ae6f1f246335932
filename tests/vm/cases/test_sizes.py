# SPDX-License-Identifier: GPL-2.0-only
"""Whatever size the host asks for, the balloon gets there to the page, and every page comes back."""

import os
import random
import time

from vbpvm import MIB, PAGE
from vbpvm.runner import DEBUG, vm_test

from helpers import failures
from helpers.common import check_books, dmesg, free_noise, free_pages, guest_mib, settle, wait_for, zones

GUEST = 512
LARGE = 2048            # takes long enough to inflate for a host to change its mind
BLOCK = 512             # pages
# Of a guest that has 512 MiB this much can be ballooned before anything is tight.
MOST = 300 * MIB // PAGE
# Around the edges of a page, of a block and of a buffer, up and down.
EDGES = (1, 2, 0, 255, 256, 257, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK, 2 * BLOCK + 1, 1000, BLOCK, 3, 0)
RANDOM_SIZES = 12
HOSTS = {"elastic": "deflate-on-oom=on", "not elastic": ""}


def go(vm, pages):
    """Has the host ask for a balloon of so many pages; the balloon has to get there exactly."""
    size = vm.mem_bytes - pages * PAGE
    vm.balloon(size)
    vm.wait_actual(size, timeout=30)


@vm_test(either=True, debug=True)
def test_odd_sizes(t):
    seed = int(os.environ.get("VBP_SEED") or time.time_ns() % 100000)
    t.note(f"VBP_SEED={seed}")
    # Each takes its minute there, and the torture has the other one.
    hosts = ["not elastic"] if t.series == DEBUG else HOSTS
    for host in hosts:
        dice = random.Random(seed)
        with t.boot(mem=GUEST, balloon=HOSTS[host]) as vm:
            vm.load_ours()
            free, off = free_pages(vm), []

            def visit(sizes):
                for pages in sizes:
                    go(vm, pages)
                    assert vm.pressure("balloon_target_pages") == pages, pages
                    check_books(vm)
                    gone = free - free_pages(vm)
                    off.append(gone - pages)
                    assert abs(gone - pages) < free_noise(vm), f"{gone} pages are not free with {pages} in the balloon"
            with t.step(f"{host}: around the edges"):
                visit(EDGES)
            if t.series != DEBUG:       # a size takes seconds there, and the torture has them at random
                with t.step(f"{host}: random sizes, VBP_SEED={seed}"):
                    visit([dice.randrange(MOST) for _ in range(RANDOM_SIZES)] + [0])
                t.note(f"free memory was off by {min(off)} to {max(off)} pages")
                with t.step(f"{host}: as many small steps down as up"):
                    for pages in (*range(0, 40, 3), *range(40, -1, -1)):
                        go(vm, pages)
                    check_books(vm)
            with t.step(f"{host}: nothing of it was taken for pressure"):
                assert vm.pressure("relief_pages") == 0 and not dmesg(vm, "gave back")


@vm_test(either=True, timeout=120)
def test_the_ends(t):
    """Up to where nothing is left, and down again."""
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on") as vm:
        vm.load_ours()
        free, total = free_pages(vm), vm.meminfo()["MemTotal"] // PAGE
        before = vm.vmstat()
        with t.step("elastic: stops before it presses the guest"):
            # QEMU lets a host ask for all but one byte; the guest's kernel has kept some of that from the start.
            vm.balloon(1)
            wait_for(vm, lambda: vm.pressure("balloon_target_pages") > total, "the guest sees more asked for than it has")
            actual = settle(vm)
            now, sizes = vm.vmstat() - before, vm.pressure("available_pages", "balloon_target_pages", "relief_pages")
            left = total - actual
            t.note(f"{actual} of {sizes['balloon_target_pages']} pages, {sizes['available_pages']} of {left} available")
            assert MOST < actual < total, actual
            # With what lies on CPUs' own lists: free to whoever runs there, and not counted by the kernel.
            available = sizes["available_pages"] + zones(vm)["per_cpu"]
            assert available > left // 5, (available, sizes, left)
            assert sizes["relief_pages"] == 0 and now["oom_kill"] == 0 and now["allocstall"] < 100, (sizes, now)
        with t.step("elastic: says so once"):
            time.sleep(1)
            lines = dmesg(vm, "virtio_balloon_pressure.*balloon stays at")
            assert len(lines) == 1 and f"of {sizes['balloon_target_pages'] * PAGE // MIB} MiB" in lines[0], lines
        with t.step("elastic: the guest can still work"):
            assert vm.touch(100, "--quiet").outcome == "ok"
            assert (vm.vmstat() - before)["oom_kill"] == 0
        with t.step("elastic: all of it comes back"):
            guest_mib(vm, GUEST)
            check_books(vm)
            assert abs(free - free_pages(vm)) < free_noise(vm), (free, free_pages(vm))

    with t.boot(mem=GUEST, balloon="") as vm:
        vm.load_ours()
        free, smallest = free_pages(vm), 128
        with t.step("not elastic: to where little is left"):
            guest_mib(vm, smallest)
            check_books(vm)
        with t.step("not elastic: all of it comes back"):
            guest_mib(vm, GUEST)
            check_books(vm)
            assert abs(free - free_pages(vm)) < free_noise(vm), (free, free_pages(vm))


@vm_test(kernels=(), debug=True, timeout=180, full=True)
def test_no_page(t):
    """A rigid balloon that finds no page to grow by."""
    most, times = 100000, f"{failures.DEBUGFS}/fail_page_alloc/times"

    with t.boot(mem=GUEST, balloon="") as vm:
        failures.prepare(vm)
        vm.load_ours()
        vm.write(times, str(most))
        failures.begin(vm, 0, 100)
        seconds = vm.spawn(f"for i in $(seq 30); do sleep 1; cat {times}; done")
        vm.balloon((GUEST - 64) * MIB)
        with t.step("says so once"):
            wait_for(vm, lambda: dmesg(vm, "no memory to inflate by another 65536 KiB"), "the log says so")
        with t.step("tries less and less"):
            # By the guest's own clock: how late we look on a busy machine does not count.
            refused = [most - int(left) for left in seconds.wait(60).out.split()]
            first = next(second for second, pages in enumerate(refused) if pages)
            early, late = refused[first + 4], refused[-1] - refused[-11]
            t.note(f"{early} pages refused in the first 5 s, {late} in the last 10")
            assert 0 < late <= early, refused
            lines = dmesg(vm, "no memory to inflate")
            assert len(lines) == 1, lines
        with t.step("a new target is tried at once, and is news"):
            vm.balloon((GUEST - 32) * MIB)
            # A block has slipped in now and then.
            wait_for(vm, lambda: dmesg(vm, "no memory to inflate by another (30720|32768) KiB"), "the log says so", 3)
        with t.step("gets there when there is memory again"):
            failures.end(vm)
            vm.wait_actual((GUEST - 32) * MIB, timeout=15)
            check_books(vm)


def sizes_until(vm, size):
    """The guest's sizes as the host sees them, each once, until it has this one."""
    seen = []

    def there():
        now = vm.actual()
        if now not in seen:
            seen.append(now)
        return now == size
    wait_for(vm, there, f"the guest has {size // MIB} MiB", 20)
    return seen


@vm_test(either=True, timeout=120)
def test_changes_of_mind(t):
    """A new target ends a running inflation at once; giving everything back is one step."""
    piece = 64 * MIB                # VBP_PIECE_PAGES: how often the host is told of a size
    with t.boot(mem=LARGE, balloon="deflate-on-oom=on") as vm:
        vm.load_ours()
        with t.step("to the full size"):
            vm.balloon(LARGE // 4 * MIB)
            wait_for(vm, lambda: vm.actual() < LARGE * 3 // 4 * MIB, "the balloon inflates")
            size = vm.actual()
            vm.balloon(LARGE * MIB)
            seen = sizes_until(vm, LARGE * MIB)
            t.note([now // MIB for now in seen])
            assert min(seen) >= size - piece, "it inflated on"
            assert len(seen) <= 3, "given back in many steps"
        with t.step("to a size between"):
            vm.balloon(LARGE // 4 * MIB)
            wait_for(vm, lambda: vm.actual() < LARGE // 2 * MIB, "the balloon inflates")
            size = vm.actual()
            vm.balloon(LARGE * 5 // 8 * MIB)
            seen = sizes_until(vm, LARGE * 5 // 8 * MIB)
            t.note([now // MIB for now in seen])
            assert min(seen) >= size - piece, "it inflated on"
        with t.step("the books balance"):
            check_books(vm)
