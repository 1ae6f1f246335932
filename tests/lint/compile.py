# SPDX-License-Identifier: GPL-2.0-only
"""What compilers and checkers say about the module: builds it with W=1, then runs sparse, in a copy of the tree.

The same sources against the same headers say the same, so the logs are kept by the hash of both.
"""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess

from vbpvm import kernels, paths

SERIES = ("6.1", "6.12")
# Debian 12's gcc did not build every kernel that we build for: nothing about our sources.
HARMLESS = re.compile(r"the compiler differs from the one used to build|The kernel was built by|You are using:|Skipping BTF generation")
WARNING = re.compile(r"\b(warning|error|WARNING|ERROR)\b")


class Build:
    """The module for one kernel: .folder has the objects, .module the result, .warnings and .sparse what was said."""
    PLACE = "lint"

    def __init__(self, series):
        self.series = series
        self.kernel = kernels.get(series)
        self.folder = paths.BUILD / self.PLACE / self.kernel.release
        self.module = self.folder / "virtio_balloon_pressure.ko"
        key = self._key()
        stamp = self.folder / ".complete"
        if not stamp.exists() or stamp.read_text() != key:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            for name in ("driver", "include"):
                shutil.copytree(paths.TOP / name, self.folder / name,
                                ignore=shutil.ignore_patterns("*.o", "*.ko", "*.mod", "*.mod.c", ".*.cmd", "*.cmd"))
            shutil.copy(paths.TOP / "Kbuild", self.folder)
            self._make("w1.log", "W=1", "modules")
            # C=2: check every source although its object is up to date. KBUILD_CHECKSRC: kernels that ask of sparse whether it is new
            # enough do so by a script that Debian's headers lack.
            self._make("sparse.log", "C=2", "KBUILD_CHECKSRC=2", "CF=-D__CHECK_ENDIAN__", "modules")
            if self.module.exists():
                stamp.write_text(key)
        self.warnings = self._complaints("w1.log")
        self.sparse = self._complaints("sparse.log")
        if not self._checked():
            self.sparse.insert(0, "sparse did not run")

    def _key(self):
        digest = hashlib.sha256()
        for path in sorted([paths.TOP / "Kbuild", *(paths.TOP / "driver").rglob("*.[ch]"), *(paths.TOP / "include").rglob("*.h")]):
            digest.update(str(path.relative_to(paths.TOP)).encode() + b"\0" + path.read_bytes())
        digest.update(pathlib.Path(__file__).read_bytes())
        for tool in ([f"{self.kernel.machine.cross}gcc", "-dumpfullversion"], ["sparse", "--version"]):
            digest.update(self.tool(*tool).encode())
        return f"{self.kernel.key} {digest.hexdigest()}"

    def tool(self, *command):
        """What a tool says of itself."""
        return subprocess.run(command, capture_output=True, text=True).stdout

    def command(self, folder, *arguments):
        """make, in the kernel's headers, for the sources in a folder."""
        return ["make", "-C", str(self.kernel.headers), f"M={folder}", *arguments]

    def _make(self, log, *arguments):
        with open(self.folder / log, "wb") as file:
            subprocess.run(self.command(self.folder, f"-j{os.cpu_count() or 1}", *arguments), stdout=file, stderr=subprocess.STDOUT)

    def _complaints(self, log):
        """Every line that warns, whoever says it, with paths as in the repository."""
        lines = dict.fromkeys((self.folder / log).read_text(errors="replace").splitlines())     # once each: headers repeat
        return [line.replace(f"{self.folder}/", "").strip() for line in lines
                if (WARNING.search(line) or "***" in line) and not HARMLESS.search(line)]

    def _checked(self):
        """A sparse that is not there, or is not asked, finds nothing either: it must have named every source."""
        log = (self.folder / "sparse.log").read_text(errors="replace")
        checked = set(re.findall(r"^  CHECK\s+(?:\S*/)?(driver/\S+\.c)$", log, re.MULTILINE))
        return checked >= {str(path.relative_to(self.folder)) for path in (self.folder / "driver").rglob("*.c")}

    def objects(self):
        """The objects of our own sources, by their path in the repository."""
        return sorted((self.folder / "driver").rglob("*.o"))


# Global names that are not ours to choose.
GIVEN = re.compile(r"^(init_module|cleanup_module|__mod_\w+__\w+_device_table|__UNIQUE_ID_\w+|__(tracepoint|traceiter|SCK__tp_func|SCT__tp_func|"
                   r"probestub|bpf_trace|event)_vbp_\w+|__pfx_\w+|__kstrtab\w+|__ksymtab\w+)$")


def symbol_prefixes(build):
    """Every global symbol says which file it is from: vbp_<file>_<verb>."""
    broken, seen = [], 0
    for path in build.objects():
        prefix = f"vbp_{path.stem}_"
        output = subprocess.run(["nm", "--defined-only", "--extern-only", str(path)], capture_output=True, text=True, check=True).stdout
        for line in output.splitlines():
            name = line.split()[-1]
            seen += 1
            if not name.startswith(prefix) and not GIVEN.match(name):
                broken.append(f"{name} in {path.relative_to(build.folder).with_suffix('.c')} does not begin with {prefix}")
    return broken if seen else ["nm shows no global symbol at all"]


def parameters_described(build, declared):
    """Every parameter that the source declares has a description in the module."""
    # Not modinfo, which shows a parameter's type where there is no description.
    done = subprocess.run(["objcopy", "-O", "binary", "--only-section=.modinfo", str(build.module), "/dev/stdout"],
                          capture_output=True, check=True)
    fields = [field.partition("=") for field in done.stdout.decode().split("\0") if field]
    described = {value.partition(":")[0] for key, _, value in fields if key == "parm" and value.partition(":")[2].strip()}
    typed = {value.partition(":")[0] for key, _, value in fields if key == "parmtype"}
    return [f"parameter {name} has no description" for name in sorted((set(declared) | typed) - described)]
