# SPDX-License-Identifier: GPL-2.0-only
"""What the functions that run inside reclaim can reach, read from the built module.

callgraph.py MODULE.ko	checks one module by hand

Reclaim calls the hooks and the shrinker while somebody waits for memory, perhaps with preemption off and locks held. What sleeps,
allocates or talks to the host there deadlocks, on a bad day, which no test meets by chance. So the calls are followed from these
roots through the module's own functions, and whatever leaves the module must be on a list, with a reason. A new call fails until
somebody has thought about it.

Not seen: what replaces instructions at run time (alternatives), and calls through pointers, which are refused for that reason.
"""

import collections
import pathlib
import re
import subprocess
import sys

# Compiled in by the kernel's own flags, wherever a function begins, ends or checks itself.
PLUMBING = {
    "__fentry__": "ftrace's entry",
    "__x86_return_thunk": "the return instruction",
    "__stack_chk_fail": "panics; reached with a broken stack only",
    "__list_add_valid": "checks pointers (CONFIG_DEBUG_LIST)",
    "__list_add_valid_or_report": "the same, newer",
    "__list_del_entry_valid": "checks pointers (CONFIG_DEBUG_LIST)",
    "__list_del_entry_valid_or_report": "the same, newer",
    "__ubsan_handle_out_of_bounds": "complains (CONFIG_UBSAN); reached with a mistake of ours only",
    "__ubsan_handle_shift_out_of_bounds": "the same",
}
# Any context, reclaim under any lock and with preemption off: may not even take a lock that others hold while queueing work.
HOOK = {
    **PLUMBING,
    "irq_work_queue": "lock-free, made for this",
}
# In an interrupt that nobody's locks surround.
INTERRUPT = {
    **PLUMBING,
    "_raw_spin_lock_irqsave": "short, irq-safe",
    "_raw_spin_unlock_irqrestore": "its end",
    "queued_spin_lock_slowpath": "what arm64, which inlines its locks, calls for one that is taken",
    "__rcu_read_lock": "counts",
    "__rcu_read_unlock": "counts, and may spin",
    "rcu_read_unlock_strict": "older, and nothing where the kernel does not hunt for RCU's users",
    "mod_delayed_work_on": "spins, never sleeps or allocates",
}
# A task in reclaim, or kswapd: may spin, may free.
SHRINKER = {
    **INTERRUPT,
    "_raw_spin_lock": "short; nothing allocates under the locks that we take here",
    "_raw_spin_unlock": "its end",
    "_raw_spin_trylock": "gives up instead of waiting",
    "mutex_trylock": "gives up instead of waiting",
    "queue_delayed_work_on": "the same",
    "queue_work_on": "the same",
    "pm_stay_awake": "spins",
    "ktime_get": "reads the clock",
    "__SCT__preempt_schedule_notrace": "the end of a tracepoint; with locks held or preemption off it does nothing",
    "preempt_schedule_notrace": "the same, older, and on arm64",
    "preempt_schedule_notrace_thunk": "the same, newer",
    "memset": "writes; arm64 calls it where x86 has an instruction for it",
    "si_mem_available": "reads counters",
    "_find_first_bit": "looks at a bit map",
    "_find_next_bit": "the same",
    "find_first_bit": "the same, older",
    "find_next_bit": "the same, older",
    "cpumask_next": "the same",
    "mod_node_page_state": "per-CPU counters",
    "adjust_managed_page_count": "atomic counters",
    "pfn_to_online_page": "looks at the memory map",
    "split_page": "touches the pages' own descriptors",
    "__free_pages": "frees",
    "__folio_put": "frees",
    "__put_page": "the same, older",
    "__put_devmap_managed_page_refs": "a part of put_page()",
    "__put_devmap_managed_folio_refs": "the same, newer",
    "put_devmap_managed_page": "the same, older",
    "balloon_page_list_enqueue": "spins on the list's lock",
    "balloon_page_list_dequeue": "the same; trylocks pages",
}

# A root that is missing fails: it was renamed, or compiled away, and nobody would look at it any more.
ROOTS = {
    "vbp_vmpressure_called": HOOK,
    "vbp_vmpressure_watch": HOOK,
    "vbp_vmpressure_woken": {**INTERRUPT, "queue_delayed_work_on": "spins, arms a timer; never sleeps or allocates"},
    "vbp_kswapd_signal": INTERRUPT,
    "vbp_kswapd_wakeup": {**HOOK, **SHRINKER},
    "vbp_kswapd_wake": {**HOOK, **SHRINKER},
    "vbp_direct_reclaim": {**HOOK, **SHRINKER},
    "vbp_direct_reclaim_of": {**HOOK, **SHRINKER},
    "vbp_vmpressure_shrink_inactive": HOOK,
    "vbp_vmpressure_signal": INTERRUPT,
    "vbp_shrinker_count": SHRINKER,
    "vbp_shrinker_scan": SHRINKER,
}

# Works and waits and talks to the host, as it may: if nothing is found here, nothing is found anywhere.
CANARY = "vbp_main_work_run"

INDIRECT = "a call through a pointer"
# Paravirtualised locks; a hypervisor's own spin, not ours to question.
INDIRECT_HARMLESS = ("pv_ops",)
# Our own tracepoints: what the administrator hangs there is made for any context, as at the kernel's own in reclaim.
TRACEPOINTS = ("__SCT__tp_func_vbp_", "__traceiter_vbp_")

LABEL = re.compile(r"^([0-9a-f]+) <([^>]+)>:$")
SECTION = re.compile(r"^Disassembly of section (\S+):$")
# What calls and jumps, and where to; by objdump's name for the format.
INSTRUCTION = {
    "elf64-x86-64": re.compile(r"^\s+[0-9a-f]+:\t(?:(?:bnd|notrack|data16|cs|rep|repz)\s+)*(call|jmp|j[a-z]+|loop\w*)q?\s+(.*)$"),
    "elf64-littleaarch64": re.compile(r"^\s+[0-9a-f]+:\t(bl|b|b\.[a-z]+|cbn?z|tbn?z|blr|br|blra[ab]z?|bra[ab]z?)\s+(.*)$"),
}
FORMAT = re.compile(r"file format (\S+)$", re.MULTILINE)
# By the machine in an ELF header.
OBJDUMP = {62: "objdump", 183: "aarch64-linux-gnu-objdump"}
ANY_INSTRUCTION = re.compile(r"^\s+[0-9a-f]+:\t")
RELOCATION = re.compile(r"^\s+[0-9a-f]+:\s+(R_(?:X86_64|AARCH64)_\w+)\s+(\S+?)([-+]0x[0-9a-f]+)?$")


class Function:
    def __init__(self, section, start, name):
        self.section, self.start, self.name = section, start, name
        self.calls = []         # (section or None, address or name): resolved once all functions are known


class Graph:
    """Functions of a module and what each calls: other functions, or names outside the module."""

    def __init__(self, listing):
        self.functions = collections.defaultdict(list)       # section -> functions in order of address
        self._read(listing)
        self._names = collections.defaultdict(list)
        for functions in self.functions.values():
            for function in functions:
                self._names[function.name].append(function)
        if not self._names:
            raise ValueError("no functions in the module")

    def _read(self, listing):
        section = current = pending = None
        instruction = INSTRUCTION[FORMAT.search(listing)[1]]
        for line in listing.splitlines():
            if match := SECTION.match(line):
                section, current = match[1], None
            elif match := LABEL.match(line):
                current = Function(section, int(match[1], 16), match[2])
                self.functions[section].append(current)
            elif match := RELOCATION.match(line):
                if pending is not None and current:
                    current.calls[pending] = self._relocated(match, current.calls[pending])
                pending = None
            elif match := instruction.match(line):
                pending = None
                if current:
                    pending = len(current.calls)
                    current.calls.append(self._plain(section, match[1], match[2]))
            elif ANY_INSTRUCTION.match(line):
                pending = None

    @staticmethod
    def _plain(section, mnemonic, operand):
        """Where an instruction goes by itself, before its relocation is known."""
        if "*" in operand or mnemonic.startswith(("blr", "br")):
            return (None, INDIRECT)
        # arm64 names what it looks at first: "w0, #2, 1b8 <name+0x10>".
        return (section, int(operand.partition(" <")[0].split()[-1], 16))

    @staticmethod
    def _relocated(match, plain):
        symbol, addend = match[2], int(match[3] or "0", 16)
        if plain == (None, INDIRECT):
            return (None, f"{INDIRECT} ({symbol})")
        if symbol.startswith("__x86_indirect"):
            return (None, INDIRECT)
        if symbol.startswith("."):
            # x86's is relative to the end of a field of four bytes.
            return (symbol, addend + (4 if match[1].startswith("R_X86") else 0))
        return (None, symbol)

    def _at(self, section, address):
        """The function that holds an address; None between functions."""
        found = None
        for function in self.functions.get(section, ()):
            if function.start > address:
                break
            found = function
        return found

    def by_name(self, name):
        return self._names.get(name, [])

    def targets(self, function):
        """Functions and outside names that this one calls or jumps to."""
        for section, where in function.calls:
            if section is None:
                own = self.by_name(where)
                yield from own or [where]
            else:
                target = self._at(section, where)
                if target is not function:
                    yield target or f"unknown code at {section}+{where:#x}"


def violations(graph, root_name, allowed):
    """Every call from the root to what is not allowed, each with one shortest chain of callers."""
    found = []
    start = graph.by_name(root_name)
    if not start:
        return [f"{root_name} is not in the module: rename it in the list of roots, too"]
    queue = collections.deque((function, (root_name,)) for function in start)
    seen = set(start)
    told = set()
    calls = 0
    while queue:
        function, chain = queue.popleft()
        for target in graph.targets(function):
            calls += 1
            name = target.name if isinstance(target, Function) else target
            if name.startswith(TRACEPOINTS):
                continue
            if isinstance(target, Function):
                if target not in seen:
                    seen.add(target)
                    queue.append((target, (*chain, target.name)))
            elif target not in allowed and target not in told and not any(harmless in target for harmless in INDIRECT_HARMLESS):
                told.add(target)
                found.append(" -> ".join((*chain, target)))
    if not calls:
        found.append(f"{root_name} calls nothing at all: the disassembly was not understood")
    return found


def load(module):
    with open(module, "rb") as file:
        machine = int.from_bytes(file.read(20)[18:], "little")
    done = subprocess.run([OBJDUMP[machine], "-dr", "--no-show-raw-insn", str(module)], capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"objdump failed: {done.stderr.strip()}")
    return Graph(done.stdout)


def check(module):
    """{root: list of violations} for a built module."""
    graph = load(module)
    if len(violations(graph, CANARY, SHRINKER)) < 3:
        raise ValueError(f"{CANARY} seems to neither sleep nor allocate: the disassembly was not understood")
    return {root: violations(graph, root, allowed) for root, allowed in ROOTS.items()}


def main():
    bad = 0
    for root, lines in check(pathlib.Path(sys.argv[1])).items():
        for line in lines:
            print(f"{root}: {line}")
            bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
