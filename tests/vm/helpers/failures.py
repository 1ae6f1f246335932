# SPDX-License-Identifier: GPL-2.0-only
"""Makes allocations fail in a guest with the debug kernel, but only below functions of our module."""

DEBUGFS = "/sys/kernel/debug"
# Failing these would only put out the eyes that watch.
OWN_CACHES = "kmemleak|debug_obj|stack|page_owner|kasan"


def prepare(vm):
    """Once, before the module is loaded."""
    start = vm.run("awk '$3 == \"_end\" { print $1 }' /proc/kallsyms").out.strip()
    # The kernel itself warns when a kprobe can't be taken out for want of memory.
    spared = vm.run("awk '$3 == \"unregister_kprobe\" { print $1; getline; print $1 }' /proc/kallsyms").out.split()
    for name in ("failslab", "fail_page_alloc"):
        for file, value in (("probability", "0"), ("times", "-1"), ("verbose", "0"), ("task-filter", "N"),
                            ("ignore-gfp-wait", "N"), ("interval", "1"),
                            # No other module is loaded: whatever lies behind the kernel is ours.
                            ("require-start", f"0x{start}"), ("require-end", "0xffffffffff000000"), ("stacktrace-depth", "32"),
                            ("reject-start", f"0x{spared[0]}"), ("reject-end", f"0x{spared[1]}")):
            vm.write(f"{DEBUGFS}/{name}/{file}", value)
    vm.write(f"{DEBUGFS}/fail_page_alloc/min-order", "0")
    # The balloon's single pages could lie there, if there were any highmem.
    vm.write(f"{DEBUGFS}/fail_page_alloc/ignore-gfp-highmem", "N")
    vm.run(f"for c in $(ls /sys/kernel/slab | grep -vE '{OWN_CACHES}'); do echo 1 >/sys/kernel/slab/$c/failslab; done 2>/dev/null",
           check=False)
    vm.write(f"{DEBUGFS}/failslab/cache-filter", "Y")


def begin(vm, slab, page):
    """From now on, so many percent of each kind."""
    for name, probability in (("failslab", slab), ("fail_page_alloc", page)):
        vm.write(f"{DEBUGFS}/{name}/probability", str(probability))


def end(vm):
    begin(vm, 0, 0)
