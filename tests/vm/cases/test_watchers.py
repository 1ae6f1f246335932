# SPDX-License-Identifier: GPL-2.0-only
"""That the debug kernel sees what it is there to see: a module does, on purpose, what each watcher is to notice."""

from vbpvm import guestmodule
from vbpvm.runner import vm_test

from helpers import watchers

# deed of tests/vm/modules/faulty, what the kernel says; lockdep first: it switches itself off when anything is said
SAID = (
    ("order", "WARNING: possible circular locking dependency detected"),
    ("beyond", "BUG: KASAN: slab-out-of-bounds in faulty_beyond"),
    ("bounds", "UBSAN: array-index-out-of-bounds"),
    ("atomic", "BUG: sleeping function called from invalid context"),
    ("object", "ODEBUG: free active"),
)
# deed, who finds out
FOUND = (("leak", watchers.check_leaks, "faulty_leak"), ("page", watchers.check_owners, "faulty_page"))


@vm_test(kernels=(), debug=True, module=False)
def test_watchers(t):
    with t.boot(mem=512, balloon=None, append=watchers.APPEND, files={"/faulty.ko": guestmodule.build(t.kernel, "faulty")}) as vm:
        vm.run("insmod /faulty.ko")
        watchers.forget_leaks(vm)

        def do(deed):
            vm.write("/sys/module/faulty/parameters/deed", deed)
        with t.step("nothing is wrong so far"):
            for _, check, _ in FOUND:
                check(vm)
            watchers.check_alive(vm)
        for deed, check, word in FOUND:
            with t.step(f"{deed} is found"):
                do(deed)
                try:
                    check(vm)
                except AssertionError as error:
                    assert word in str(error), error
                else:
                    raise AssertionError("nothing was found")
        for deed, words in SAID:
            with t.step(f"{deed} is said"):
                do(deed)
                # Having looked here, the runner finds nothing bad any more.
                bad, _ = vm.console.check()
                assert any(words in line for line in bad), bad
        with t.step("a watcher that has gone is missed"):
            try:
                watchers.check_alive(vm)
            except AssertionError as error:
                assert "lockdep" in str(error), error
            else:
                raise AssertionError("lockdep has said something and is still on")
