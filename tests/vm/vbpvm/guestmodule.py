# SPDX-License-Identifier: GPL-2.0-only
"""Small kernel modules of the tests' own, tests/vm/modules/NAME/, built for a guest's kernel."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

from .paths import BUILD, MODULES, HarnessError


def build(kernel, name):
    """Returns the path of NAME.ko for this kernel; kept by the hash of its source."""
    sources = sorted((MODULES / name).iterdir())
    digest = hashlib.sha256(kernel.key.encode())
    for source in sources:
        digest.update(source.read_bytes())
    target = BUILD / "vm/modules" / f"{name}-{kernel.series}-{digest.hexdigest()[:16]}.ko"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as staging:
        for source in sources:
            shutil.copy(source, staging)
        done = subprocess.run(["make", "-C", str(kernel.headers), f"M={staging}", "modules"], capture_output=True, text=True)
        made = pathlib.Path(staging) / f"{name}.ko"
        if done.returncode or not made.exists():
            raise HarnessError(f"the test module {name} does not build for {kernel}: {done.stderr.strip()[-400:]}")
        os.replace(made, target)
    return target
