# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that want modules signed by somebody they know, as one that was started by Secure Boot does, and ours is not."""

import pathlib
import subprocess
import tempfile

from vbpvm.runner import vm_test

from helpers.common import dmesg

MODULE = "/lib/modules/$(uname -r)/extra/virtio_balloon_pressure.ko"
SIGNED = "/signed.ko"
# The kernel parameter, which module, what insmod says and what the log says: as the administrator's guide quotes them.
REFUSALS = (
    ("lockdown=integrity", MODULE, "Operation not permitted", "Lockdown: insmod: unsigned module loading is restricted"),
    ("lockdown=integrity", SIGNED, "Operation not permitted", "Lockdown: insmod: unsigned module loading is restricted"),
    ("module.sig_enforce=1", MODULE, "Key was rejected by service", "Loading of unsigned module is rejected"),
    ("module.sig_enforce=1", SIGNED, "Key was rejected by service", "Loading of module with unavailable key is rejected"),
)


def sign(t):
    """Our module with a signature of the kind that DKMS makes, by a key that nobody has enrolled; returns its bytes."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        key, certificate, module = folder / "key", folder / "certificate", folder / "module"
        subprocess.run(["openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=nobody/",
                        "-outform", "DER", "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
        subprocess.run([str(t.kernel.headers / "scripts/sign-file"), "sha256", str(key), str(certificate), str(t.module), str(module)],
                       check=True)
        return module.read_bytes()


@vm_test(either=True)
def test_refused(t):
    """The kernel says so, nothing of ours happens, and the in-tree driver, which the distribution has signed, serves the guest."""
    signed = sign(t)
    for parameter in dict.fromkeys(refusal[0] for refusal in REFUSALS):
        with t.boot(mem=256, balloon="deflate-on-oom=on", append=parameter, files={SIGNED: signed}) as vm:
            vm.load_in_tree()
            for _, module, said, logged in (refusal for refusal in REFUSALS if refusal[0] == parameter):
                with t.step(f"{parameter}, {'an unknown key' if module == SIGNED else 'unsigned'}"):
                    before = len(dmesg(vm, logged))
                    failed = vm.run(f"insmod {module}", check=False)
                    assert failed.rc and said in failed.out, failed
                    assert len(dmesg(vm, logged)) > before, vm.run("dmesg | tail -3").out
                    assert vm.driver() == "virtio_balloon"
