# SPDX-License-Identifier: GPL-2.0-only
"""
Collects and runs the tests of tests/vm/cases/test_*.py.

A test is a function marked with @vm_test; it boots guests with t.boot() and asserts. It runs once for each kernel and LRU mode
it names. With `with t.step("what"):` it reports several results from one boot: a step that fails does not stop those after it.
"""

import concurrent.futures
import contextlib
import fnmatch
import importlib.util
import itertools
import os
import sys
import threading
import time
import traceback

from . import kernels, paths, qemus
from .channel import CommandTimeout, GuestDied
from .migration import MigrationRefused
from .qmp import QMPError
from .vm import VM

sys.path.insert(0, str(paths.TOP / "tests/lib"))
from results import Results     # noqa: E402  (found by the line above)

KERNELS = ("6.1", "6.12")
DEBUG = "debug"                     # the kernel of tests/debug
LRU_MODES = ("classic", "mglru")
# The mode that Debian's kernel of that series starts in.
OWN_LRU = {"6.1": "classic", "6.12": "mglru"}
# Everything with everything; takes twice as long.
FULL = os.environ.get("FULL") == "1"
# Within `make check` the tier "matrix" has two kernels, too. What it repeats on them, and where kernels make little difference, is not
# also done on another.
ENDS = os.environ.get("ENDS") == "1"
# Tests at a time. Most of a test is waiting, or a boot, which keeps one CPU busy: one more than there are CPUs takes a quarter less
# time.
WORKERS = min(3, os.cpu_count() + 1)

_collected = []
_for_any = []                       # functions that make the cases of tests/matrix for a kernel
_turns = itertools.count()


class Skip(Exception):
    """Raised by a test that cannot run here; the reason is reported."""


def vm_test(kernels=KERNELS, either=False, lru=("classic",), module=True, timeout=180, oom_kills=0, patched=False, alone=False,
            debug=False, matrix=False, full=False, ages=False):
    """
    kernels    series to run on
    either     which of them makes little difference to what is tested: one, in turn or the one named, unless FULL=1
    lru        "classic", "mglru"; LRU_MODES for each kernel's own, or both with FULL=1
    module     our module is built and in the guest (not loaded)
    timeout    seconds for the whole test, its guests' boot included, if it had the machine to itself
    oom_kills  how many OOM kills it may cause
    patched    guests run on the QEMU with our patches, if t.boot() is not told otherwise (qemu=None: the usual one)
    alone      no other test runs meanwhile: it looks at how long something takes
    debug      also for the tier on the debug kernel, in the first LRU mode
    matrix     also for the tier on every kernel there is
    full       only with FULL=1, or by name
    ages       needs all of qemus.ages(), which are built before
    """
    def mark(function):
        turn = KERNELS.index(either) if either in KERNELS else next(_turns) if either else None
        for series, mode in itertools.product(kernels, lru):
            case = Case(function, series, mode, module, timeout, oom_kills, patched, alone)
            case.turn, case.usual = turn, lru != LRU_MODES or mode == OWN_LRU[series]
            case.ages = ages
            if full or ENDS and matrix and either:
                case.usual = False
            _collected.append(case)
        if debug:
            _collected.append(Case(function, DEBUG, lru[0], module, timeout, oom_kills, patched, alone))
        if matrix:
            _for_any.append((lru, lambda series, mode: Case(function, series, mode, module, timeout, oom_kills, patched, alone)))
        return function
    return mark


class Case:
    """One test on one kernel in one LRU mode."""

    def __init__(self, function, series, mode, module, timeout, oom_kills, patched, alone):
        self.function, self.series, self.mode = function, series, mode
        self.module, self.oom_kills, self.patched, self.alone = module, oom_kills, patched, alone
        self.turn, self.usual = None, True          # see _is_usual()
        self.ages = False
        self.timeout = timeout * (1 if alone else WORKERS) * kernels.SLOWNESS.get(series, 1)
        file = function.__module__.removeprefix("test_")
        self.name = f"{file}.{function.__name__.removeprefix('test_')}[{series},{mode}]"


class Test:
    """What a test function gets as its `t`."""

    def __init__(self, case, results):
        self.case, self.series, self.mode = case, case.series, case.mode
        self.kernel = kernels.get(case.series)
        self.module = kernels.our_module(case.series) if case.module else None
        self.patched = qemus.patched() if case.patched else None
        self.deadline = time.monotonic() + case.timeout
        self.failures = 0
        self.steps = 0
        self._results = results
        self.guests = []
        self._kills = 0

    # --- for test functions -----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def boot(self, **options):
        """A running VM (see its options), in this test's LRU mode. Ends with a look at the guest's console."""
        options.setdefault("kernel", self.kernel)
        options.setdefault("module", self.module)
        options.setdefault("qemu", self.patched)
        options.setdefault("name", self.case.name.split("[")[0])
        vm = VM(**options)
        self.guests.append(vm)
        try:
            vm.start()
            vm.channel.deadline = self.deadline
            if vm.run("test -d /sys/kernel/mm/lru_gen", check=False).rc == 0:
                vm.use_lru(self.mode)
            elif self.mode == "mglru":
                raise Skip(f"{self.kernel} has no MGLRU")
            yield vm
            # A kernel that is about to complain often does so a moment later.
            vm.run("true")
        except (GuestDied, ConnectionError) as error:
            why = vm.channel.dead or str(error) if vm.channel else str(error)
            if "last words" not in why:
                why += f"; last words: {vm.console.tail(8)} {vm.stderr()}"
            self.failures += 1
            raise GuestDied(why) from error
        except Skip:
            raise
        except Exception:
            self.failures += 1
            raise
        finally:
            if vm.console:
                self._look_at_console(vm)
            vm.stop(keep=self.failures > 0)

    @contextlib.contextmanager
    def step(self, name):
        """A result of its own. A failed assertion is recorded and the test goes on; anything worse ends the test."""
        start = time.monotonic()
        self.steps += 1
        try:
            yield
        except Skip as skip:
            self._results.add("SKIP", f"{self.case.name} {name}", str(skip))
        except (AssertionError, CommandTimeout, QMPError, MigrationRefused) as error:
            self.failures += 1
            self._results.add("FAIL", f"{self.case.name} {name}", _describe(error))
        else:
            self._results.add("PASS", f"{self.case.name} {name}")
        _progress(f"{name}: {time.monotonic() - start:.1f} s")

    def note(self, text):
        """Something measured, for whoever watches."""
        _progress(text)

    def allow_oom_kills(self, number):
        self.case.oom_kills = number

    # --- for the runner ---------------------------------------------------------------------------------------------

    def _look_at_console(self, vm):
        bad, kills = vm.console.check()
        self._kills += kills
        if bad:
            self.failures += 1
            more = f" (and {len(bad) - 1} more lines)" if len(bad) > 1 else ""
            self._results.add("FAIL", f"{self.case.name} console", f"the guest's kernel said: {bad[0]}{more}; see {vm.dir}")
        if self._kills > self.case.oom_kills:
            self.failures += 1
            self._results.add("FAIL", f"{self.case.name} console",
                              f"{self._kills} OOM kills, {self.case.oom_kills} allowed; see {vm.dir}")
            self._kills = 0

    def abort(self):
        for vm in self.guests:
            if vm.alive():
                vm.kill(f"the test's time limit of {self.case.timeout} s is over")


def _describe(error):
    """The failed line of the test itself, for an assertion without words."""
    if str(error):
        return str(error)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "vbpvm" not in frame.filename]
    return f"line {frames[-1].lineno}: {frames[-1].line}" if frames else repr(error)


_here = threading.local()           # which test this thread is at


def _progress(text):
    print(f"{getattr(_here, 'number', '')}{text}", file=sys.stderr, flush=True)


def _prepare(cases):
    """Builds what several tests need, before they ask for it at the same time. What fails here fails each of them by itself."""
    for case in cases:
        with contextlib.suppress(paths.HarnessError):
            kernels.get(case.series)
            if case.module:
                kernels.our_module(case.series)
            if case.patched:
                qemus.patched()
            if case.ages:
                qemus.ages()


def _run_all(cases, results):
    """Those that go together first, then the others by themselves."""
    numbered = list(enumerate(cases, 1))

    def run(pair):
        number, case = pair
        _here.number = f"[{number}/{len(cases)}] "
        begin = time.monotonic()
        _progress(case.name)
        _run(case, results)
        _progress(f"{case.name} took {time.monotonic() - begin:.1f} s")

    for alone, workers in ((False, WORKERS), (True, 1)):
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            # The long ones first, or the last of them would end by itself. Asking for the results raises what a test could not.
            together = [pair for pair in numbered if pair[1].alone == alone]
            list(pool.map(run, sorted(together, key=lambda pair: -pair[1].timeout)))


def _run(case, results):
    test = timer = None
    try:
        test = Test(case, results)
        timer = threading.Timer(case.timeout, test.abort)
        timer.daemon = True
        timer.start()
        case.function(test)
    except Skip as skip:
        results.add("SKIP", case.name, str(skip))
    except (AssertionError, GuestDied, CommandTimeout, QMPError, MigrationRefused, paths.HarnessError) as error:
        results.add("FAIL", case.name, _describe(error))
    except Exception as error:          # a mistake in the test: its place is what helps
        traceback.print_exc()
        results.add("FAIL", case.name, f"{type(error).__name__}: {error}")
    else:
        if not test.steps and not test.failures:
            results.add("PASS", case.name)
    finally:
        if timer:
            timer.cancel()


def _collect(folder):
    for path in sorted(folder.glob("test_*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)


def case_of(name, series):
    """The case of that name, "file.test", on that kernel, in the first LRU mode it is for."""
    found = [case for case in _collected if case.series == series and case.name.split("[")[0] == name]
    if not found:
        raise paths.HarnessError(f"no test is called {name} on {series}")
    return found[0]


def _series():
    series = (os.environ.get("KERNELS") or " ".join(KERNELS)).replace(",", " ").split()
    unknown = [name for name in series if name not in KERNELS]
    if unknown:
        raise paths.HarnessError(f"KERNELS={' '.join(unknown)}: there is {' and '.join(KERNELS)}")
    return series


def _on_any(kernel):
    """The cases of tests/matrix: in the kernel's own LRU mode, those that care in the other one, too, if it has it and FULL=1."""
    own, both = kernel.own_lru()
    other = [mode for mode in LRU_MODES if mode != own and FULL and both]
    return [make(kernel.series, mode) for lru, make in _for_any for mode in [own, *(other if lru == LRU_MODES else ())]]


def run_on(kernel, results, patterns=()):
    """Tests of tests/vm, marked for it, on a kernel that kernels.give() has made known."""
    if not _collected:
        _collect(paths.CASES)
    cases = [case for case in _on_any(kernel) if not patterns or any(_matches(case, pattern) for pattern in patterns)]
    if not cases:
        raise paths.HarnessError(f"no test is called {' '.join(patterns)}")
    _run_all(cases, results)


def _selected(patterns, series):
    cases = [case for case in _collected if case.series in series and (FULL or patterns or _is_usual(case, series))]
    for pattern in patterns:
        if not any(_matches(case, pattern) for case in cases):
            raise paths.HarnessError(f"no test is called {pattern}; tests/vm/run --list names them")
    return [case for case in cases if not patterns or any(_matches(case, pattern) for pattern in patterns)]


def _is_usual(case, series):
    """Whether it runs though nobody asked for it by name."""
    return case.usual and (case.turn is None or case.series == series[case.turn % len(series)])


def _matches(case, pattern):
    return pattern in case.name or fnmatch.fnmatch(case.name, pattern)


def main(arguments, tier="vm"):
    """The tier "vm", on Debian's kernels, or "debug"."""
    try:
        _collect(paths.CASES)
        patterns = [name for name in arguments if name != "--list"] or (os.environ.get("TESTS") or "").split()
        cases = _selected(patterns, [DEBUG] if tier == DEBUG else _series())
        if "--list" in arguments:
            print("\n".join(case.name for case in cases))
            return 0
        results = Results(tier)
        start = time.monotonic()
        _prepare(cases)
        _run_all(cases, results)
        _progress(f"==> {tier}: {results.counts['PASS']} passed, {results.counts['FAIL']} failed, "
                  f"{results.counts['SKIP']} skipped in {time.monotonic() - start:.0f} s")
        return results.exit_status()
    except paths.HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
