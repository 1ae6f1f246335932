# SPDX-License-Identifier: GPL-2.0-only
"""
Where the patched QEMU looks how short its host is, on hosts that the machine of the tests need not be: it runs in a guest, which has
cgroups of version 2 with a memory controller, and the rules of its kernel for who may watch them.
"""

import contextlib

from vbpvm import MIB
from vbpvm.runner import vm_test

from helpers import inner
from helpers.common import refused, wait_for
from helpers.inner import Inner, Refused

HOST = 768
ROOT, GROUP, PSI = "/sys/fs/cgroup", "/sys/fs/cgroup/guests", "/proc/pressure/memory"
LIMIT, RESERVE = 128, 48
OPTIONS = f"host-pressure={GROUP},host-reserve={RESERVE}M"


@contextlib.contextmanager
def boot(t):
    with t.boot(mem=HOST, balloon=None, module=None, qemu=None, disks=(256,), files=inner.files(t.patched)) as vm:
        vm.run(f"echo +memory >{ROOT}/cgroup.subtree_control; mkdir {GROUP}; echo {LIMIT}M >{GROUP}/memory.max")
        yield vm


def use(vm, command, group=GROUP):
    """A program in that cgroup."""
    return vm.spawn(f"echo $$ >{group}/cgroup.procs; {command}")


@vm_test(either=True, module=False, patched=True, timeout=240)
def test_cgroup_v2(t):
    with boot(t) as vm, Inner(vm, OPTIONS) as qemu:
        with t.step("its limit is the host's memory"):
            host = qemu.host()
            assert host["source"] == GROUP and host["total"] == LIMIT * MIB and host["reserve"] == RESERVE * MIB, host
            assert LIMIT * MIB * 3 // 4 < host["free"] <= LIMIT * MIB and qemu.report()["host-level"] == "none", host
        with t.step("a program in it leaves less than the reserve"):
            job = use(vm, f"vbp-touch {LIMIT - RESERVE + 8} --quiet --hold 600")
            wait_for(vm, lambda: qemu.report()["host-level"] != "none", "the guests are told", 30)
            assert qemu.host()["free"] < RESERVE * MIB, qemu.host()
        with t.step("what it reads beside that is no shortage, but its limit wakes QEMU"):
            before = qemu.host()
            use(vm, "dd if=/dev/vda of=/dev/null bs=1M count=200").wait()
            after = wait_for(vm, lambda: (now := qemu.host())["wakeups"] > before["wakeups"] and now, "it is woken", 30)
            assert abs(after["free"] - before["free"]) < 8 * MIB, (before, after)
            job.kill()
            job.wait()
            wait_for(vm, lambda: qemu.report()["host-level"] == "none", "there is enough again", 30)
        with t.step("the smallest of its limits and its parents' counts"):
            vm.run(f"echo +memory >{GROUP}/cgroup.subtree_control; mkdir {GROUP}/one; echo 512M >{GROUP}/one/memory.max")
            qemu.set("host-pressure", f"{GROUP}/one")
            assert qemu.host()["total"] == LIMIT * MIB, qemu.host()
            vm.write(f"{GROUP}/one/memory.high", f"{LIMIT // 2}M")
            wait_for(vm, lambda: qemu.host()["total"] == LIMIT // 2 * MIB, "memory.high is below it", 30)
        with t.step("a cgroup that goes away is told once"):
            vm.run(f"rmdir {GROUP}/one")
            wait_for(vm, lambda: qemu.host().get("failed"), "its source has gone", 30)
            t.note(qemu.host()["failed"])
            assert [event["failed"] for event in qemu.events("BALLOON_HOST_PRESSURE")].count(True) == 1
            assert qemu.report()["host-level"] == "none"
            qemu.set("host-pressure", GROUP)
            assert not qemu.host().get("failed") and qemu.host()["total"] == LIMIT * MIB, qemu.host()


@vm_test(module=False, patched=True, timeout=240)
def test_privileges(t):
    """Anybody may watch the memory pressure of the host, and of a cgroup that is theirs."""
    with boot(t) as vm:
        with t.step("QEMU without privileges does not start with root's cgroup, and says why"):
            with refused(Refused) as said, Inner(vm, f"host-pressure={GROUP}", user="nobody"):
                pass
            t.note(said[0])
            assert len(said[0].splitlines()) == 1 and f"memory.pressure in '{GROUP}': Permission denied" in said[0], said
        with t.step("it watches the host"), Inner(vm, f"host-pressure={PSI}", user="nobody") as qemu:
            assert qemu.host()["total"] > HOST // 2 * MIB, qemu.host()
            with t.step("and goes on with that, if root's cgroup is refused at run time"):
                before = qemu.host()
                with refused(Refused) as said:
                    qemu.set("host-pressure", GROUP)
                t.note(said[0])
                assert qemu.get("host-pressure") == qemu.host()["source"] == PSI, qemu.host()
                wait_for(vm, lambda: qemu.host()["looks"] > before["looks"], "it looks at the host", 30)
            with t.step("and the kernel wakes it when tasks wait for memory"):
                vm.write(f"{GROUP}/memory.max", "16M")
                # What it reads does not fit, so each round is read from the disk again.
                job = use(vm, "while :; do dd if=/dev/vda of=/dev/null bs=1M count=64; done")
                wait_for(vm, lambda: qemu.host()["wakeups"] > before["wakeups"], "it is woken", 60)
                job.kill()
                vm.write(f"{GROUP}/memory.max", f"{LIMIT}M")
        with t.step("it watches a cgroup that root has opened for it"):
            # Root's file descriptor 9 becomes file 1 of the set.
            with Inner(vm, "host-pressure=/dev/fdset/1", user="nobody", before=f"exec 9<>{GROUP}/memory.pressure",
                       more="-add-fd fd=9,set=1") as qemu:
                # The file says how it stalls, the memory is the host's.
                assert qemu.host()["source"] == "/dev/fdset/1" and qemu.host()["total"] > HOST // 2 * MIB, qemu.host()
        with t.step("it watches a cgroup that is its own"):
            vm.run(f"chown -R nobody {GROUP}")
            with Inner(vm, OPTIONS, user="nobody") as qemu:
                assert qemu.host()["total"] == LIMIT * MIB, qemu.host()
