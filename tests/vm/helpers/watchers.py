# SPDX-License-Identifier: GPL-2.0-only
"""What the debug kernel knows besides what it says on its console: who took a page, and who forgot an object."""

import collections
import re
import time

# Without it no page says who took it.
APPEND = "page_owner=on"
# kmemleak does not report what is younger.
NEW_S = 5.5
# What stands between whoever wanted a page and page_owner.
ALLOCATORS = re.compile(r"page_owner|save_stack|alloc_page|alloc_frozen|post_alloc_hook|get_page_from_freelist|prep_new_page"
                        r"|folio_alloc|balloon_page_alloc")


def check_owners(vm):
    """Of each page the kernel knows who asked for it: none may be left whose caller was a module's. Slab pages have objects of all."""
    left = collections.Counter()
    stacks = vm.read("/sys/kernel/debug/page_owner_stacks/show_stacks", timeout=60)
    entries = re.findall(r"((?:^ .*\n)+)nr_base_pages: (\d+)", stacks, re.M)
    assert len(entries) > 10, f"page_owner knows of {len(entries)} callers only"
    for stack, pages in entries:
        # Of an unloaded module addresses are left.
        caller = next((line.strip() for line in stack.splitlines() if not ALLOCATORS.search(line)), "")
        if caller.startswith("0x") or caller.endswith("]"):
            left[caller] += int(pages)
    assert not left, f"pages that a module took are still in use: {dict(left)}"


def forget_leaks(vm):
    """What looks like a leak so far is not reported later."""
    vm.run("echo scan >/sys/kernel/debug/kmemleak; echo clear >/sys/kernel/debug/kmemleak", timeout=120)


def check_leaks(vm):
    """Objects that nothing points to. What is on its way from one place to another looks so, once, and what is new."""
    time.sleep(NEW_S)
    for _ in range(2):
        vm.run("echo scan >/sys/kernel/debug/kmemleak", timeout=120)
    leaks = vm.read("/sys/kernel/debug/kmemleak", timeout=60)
    assert not leaks.strip(), f"kmemleak: {leaks.strip()[:600]}"


def check_alive(vm):
    """The watchers switch themselves off when they run out of memory, and after the first thing they see."""
    assert re.search(r"debug_locks: +1$", vm.read("/proc/lockdep_stats"), re.M), "lockdep is off"
    off = re.search(r".*(ODEBUG: Out of memory|kmemleak: .*(disabled|Cannot allocate)).*", vm.console.text())
    assert not off, off[0]
