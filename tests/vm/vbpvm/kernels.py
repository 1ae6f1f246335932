# SPDX-License-Identifier: GPL-2.0-only
"""The kernels that guests boot, and our module built for each of them."""

import functools
import pathlib
import subprocess

from . import machines, paths


# What is not Debian's: series -> the script that prints its line.
OWN = {"debug": "tests/debug/kernel.sh", "builtin": "tests/install/kernel.sh"}
# A kernel that checks each access to memory takes its time; so do tests on it.
SLOWNESS = {"debug": 4}
# With two emulated CPUs it takes two minutes to boot instead of half a one; so does ACPI's way of finding out about interrupts. 256
# terminals of the old kind take it seven seconds.
CPUS = {"debug": 1}
APPEND = {"debug": "acpi=noirq pty.legacy_count=0"}


class Kernel:
    """One kernel of the cache: series "6.1", release "6.1.0-56-cloud-amd64", its vmlinuz, modules and headers."""

    def __init__(self, line):
        fields = line.split()
        self.series, self.release, self.version = fields[:3]
        self.vmlinuz, self.modules, self.headers = map(pathlib.Path, fields[4:7])
        self.key = f"{self.release}_{self.version}"
        self.machine = machines.of(self.release)
        self.page = 16384 if self.release.endswith("-16k") else paths.PAGE
        self.slowness = SLOWNESS.get(self.series, 1)
        self.cpus, self.append = CPUS.get(self.series), APPEND.get(self.series, "")

    def __repr__(self):
        return f"Linux {self.release}"

    def own_lru(self):
        """The LRU mode it starts in, by its configuration, and whether it has the other one, too."""
        text = (self.vmlinuz.resolve().parent / f"config-{self.release}").read_text()
        return "mglru" if "CONFIG_LRU_GEN_ENABLED=y" in text else "classic", "CONFIG_LRU_GEN=y" in text

    def builtin(self):
        """Names of what would be modules, had they not been built in."""
        text = (self.modules / "modules.builtin").read_text()
        return {pathlib.Path(line).name.removesuffix(".ko").replace("-", "_") for line in text.split()}

    def dependencies(self):
        """Module name -> (its path, names of all modules it needs, nearest last), from modules.dep."""
        table = {}
        for line in (self.modules / "modules.dep").read_text().splitlines():
            path, _, needs = line.partition(":")
            table[module_name(path)] = (path, [module_name(need) for need in needs.split()])
        return table


def module_name(path):
    """kernel/x/virtio-rng.ko.xz -> virtio_rng"""
    return pathlib.Path(path).name.split(".ko")[0].replace("-", "_")


_given, _built = {}, {}


def give(kernel, module):
    """A kernel that is not of the cache, and our module as it was built for it: get() and our_module() know it by its series."""
    _given[kernel.series], _built[kernel.series] = kernel, pathlib.Path(module)


@functools.lru_cache(maxsize=None)
def get(series):
    if series in _given:
        return _given[series]
    return Kernel(paths.script(OWN[series]) if series in OWN else paths.script("tools/kernel.sh", "info", series))


def our_module(series):
    """The path of virtio_balloon_pressure.ko for this kernel, built if it is not up to date. HarnessError if it does not build."""
    if series not in _built:
        which = ["--kdir", str(get(series).headers), series] if series in OWN else [series]
        done = subprocess.run([str(paths.TOP / "tools/module.sh"), *which], stdout=subprocess.PIPE, text=True)
        _built[series] = None if done.returncode else pathlib.Path(done.stdout.strip())
    if not _built[series]:
        raise paths.HarnessError(f"the module does not build for Linux {series} (the compiler's messages are above)")
    return _built[series]
