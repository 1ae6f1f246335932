# SPDX-License-Identifier: GPL-2.0-only
"""The Debian package: what it is made of, and its life on a machine."""

import re
import subprocess

from vbpvm.paths import BUILD, TOP, HarnessError

from dkms import MODULE, PACKAGE, check_installed, status

BINARY = f"{PACKAGE}-dkms"
OLDER = "0.0.9"
SOFTDEP = f"/usr/lib/modprobe.d/{BINARY}.conf"


def make(*version):
    """Builds the package, of a claimed version if one is given; returns its .changes file."""
    done = subprocess.run([str(TOP / "debian/build.sh"), *version], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise HarnessError("the package does not build (build.sh's message is above)")
    return done.stdout.strip()


def loads(chroot, release):
    """The balloon drivers that `modprobe virtio_balloon` would load, in that order."""
    return re.findall(r"^insmod \S*/(virtio_balloon\w*)\.ko", chroot.out(f"modprobe -S {release} --show-depends virtio_balloon"), re.M)


def initramfs(chroot, release):
    """The balloon drivers in its initramfs."""
    names = chroot.out(f"lsinitramfs /boot/initrd.img-{release}")
    return set(re.findall(r"/(virtio_balloon\w*)\.ko", names))


def test_made_well(t):
    """make deb, lintian"""
    with t.step("make deb leaves nothing outside build"):
        def outside():
            return subprocess.run(["git", "-C", str(TOP), "status", "--porcelain", "--ignored"], capture_output=True, text=True).stdout
        before = outside()
        done = subprocess.run(["make", "--no-print-directory", "-C", str(TOP), "deb"], stdout=subprocess.PIPE, text=True)
        assert done.returncode == 0, done.stdout
        made = sorted(path.name for path in (BUILD / "deb").iterdir() if path.is_file())
        assert f"{BINARY}_{t.version}_all.deb" in made and f"{PACKAGE}_{t.version}.dsc" in made, made
        assert outside() == before, outside()
    with t.step("lintian has nothing to say"):
        done = subprocess.run(["lintian", "--allow-root", "--display-info", "--pedantic", "--display-experimental",
                               "--fail-on=error,warning,info,pedantic,experimental", t.changes], capture_output=True, text=True)
        assert done.returncode == 0 and not re.search(r"^[EWIPXO]: ", done.stdout, re.M), done.stdout + done.stderr


def test_life(t):
    """Install, upgrade, remove, purge."""
    install = f"dpkg --install /srv/{BINARY}_{{}}_all.deb"
    with t.step("installs, and is first in line for the device"):
        t.chroot.run(install.format(OLDER))
        check_installed(t.chroot, t.now, OLDER)
        assert loads(t.chroot, t.now) == [MODULE, "virtio_balloon"], loads(t.chroot, t.now)
    with t.step("upgrades, and the older one is gone"):
        t.chroot.run(install.format(t.version))
        check_installed(t.chroot, t.now, t.version)
        sources = [path.name for path in (t.chroot.path / "usr/src").glob(f"{PACKAGE}-*")]
        assert sources == [f"{PACKAGE}-{t.version}"], sources
    with t.step("installs again over itself"):
        t.chroot.run(install.format(t.version))
        check_installed(t.chroot, t.now, t.version)
    with t.step("an initramfs with the in-tree driver gets this one, too"):
        assert not initramfs(t.chroot, t.now), initramfs(t.chroot, t.now)
        t.chroot.run(f"echo virtio_balloon >>/etc/initramfs-tools/modules; update-initramfs -u -k {t.now}")
        assert initramfs(t.chroot, t.now) == {MODULE, "virtio_balloon"}, initramfs(t.chroot, t.now)
    with t.step("removed, the in-tree driver is alone, in the initramfs as well"):
        t.chroot.run(f"dpkg --remove {BINARY}")
        assert loads(t.chroot, t.now) == ["virtio_balloon"], loads(t.chroot, t.now)
        assert initramfs(t.chroot, t.now) == {"virtio_balloon"}, initramfs(t.chroot, t.now)
    t.chroot.run(f"sed -i /^virtio_balloon$/d /etc/initramfs-tools/modules; update-initramfs -u -k {t.now}")
    with t.step("purged, nothing is left behind"):
        t.chroot.run(f"dpkg --purge {BINARY}")
        t.check_as_before()
        assert not t.chroot.run(f"dpkg-query -W {BINARY}", check=False).stdout.startswith(BINARY)


def test_no_headers(t):
    """Where DKMS has no headers to build against, the in-tree driver goes on serving the guest."""
    build = t.chroot.path / "lib/modules" / t.now / "build"
    hidden = build.rename(build.with_name(".build"))
    try:
        with t.step("installs without headers, and leaves the guest its in-tree driver"):
            said = t.chroot.out(f"dpkg --install /srv/{BINARY}_{t.version}_all.deb")
            assert "kernel headers for this kernel do not seem to be installed" in said, said[-400:]
            assert not status(t.chroot), status(t.chroot)
            assert (t.chroot.path / SOFTDEP.lstrip("/")).exists()
            assert loads(t.chroot, t.now) == ["virtio_balloon"], loads(t.chroot, t.now)
    finally:
        hidden.rename(build)
    with t.step("and builds when they come"):
        t.chroot.run(f"/etc/kernel/header_postinst.d/dkms {t.now}")
        check_installed(t.chroot, t.now, t.version)
    t.chroot.run(f"dpkg --purge {BINARY}")


def test_autopkgtest(t):
    """The package's own tests, those for a chroot; boot.py runs the others."""
    files = t.changes.replace("_amd64.changes", ".dsc"), str(BUILD / f"deb/{BINARY}_{t.version}_all.deb")
    done = t.chroot.beside("autopkgtest", "--test-name=builds", "--no-built-binaries", *reversed(files), "--", "chroot", str(t.chroot.path))
    with t.step("autopkgtest"):
        assert re.search(r"^builds +PASS", done.stdout, re.M), done.stdout[-800:]
