# SPDX-License-Identifier: GPL-2.0-only
"""The Debian package: what it is made of, and its life on a machine."""

import contextlib
import pathlib
import re
import shutil
import subprocess

import documents
import rules
from vbpvm.paths import BUILD, TOP, HarnessError

from chroot import ENVIRONMENT, Chroot, base
from dkms import MODULE, PACKAGE, another_kernel, check_installed, refused, shrink, small, status

BINARY = f"{PACKAGE}-dkms"
OLDER = "0.0.9"
SOFTDEP = f"/usr/lib/modprobe.d/{BINARY}.conf"


def make(*version):
    """Builds the package, of a claimed version if one is given; returns its .changes file."""
    done = subprocess.run([str(TOP / "debian/build.sh"), *version], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise HarnessError("the package does not build (build.sh's message is above)")
    return done.stdout.strip()


def release(changes):
    """A repository of one commit, with what is in the source package; returns its folder."""
    folder = BUILD / "install/release"
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["dpkg-source", "--no-check", "-x", changes.replace("_amd64.changes", ".dsc"), str(folder)], check=True,
                   stdout=subprocess.DEVNULL)
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "release"]):
        subprocess.run(["git", "-C", str(folder), "-c", "user.name=name", "-c", "user.email=name@example.org", *command], check=True)
    return folder


def make_in(folder, target, hide=(), without=()):
    """make TARGET there as root with a home of its own, in a machine without the packages in without and the programs in hide."""
    for path in (folder / "build", folder.parent / "status"):
        subprocess.run(["rm", "-rf", str(path)], check=True)
    stanzas = pathlib.Path("/var/lib/dpkg/status").read_text().split("\n\n")
    (folder.parent / "status").write_text(
        "\n\n".join(stanza for stanza in stanzas if not re.match(rf"Package: ({'|'.join(without) or '(?!)'})\n", stanza)))
    mounts = [f"mount --bind {folder.parent}/status /var/lib/dpkg/status"]
    mounts += [f"mount --bind /dev/null {shutil.which(program)}" for program in hide]
    commands = "\n".join([*mounts, f"exec make --no-print-directory -C {folder} {target}"])
    return subprocess.run(["unshare", "--mount", "sh", "-ec", commands], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env={**ENVIRONMENT, "HOME": "/nonexistent", "VBP_CACHE": str(folder.parent / "cache")})


def sources_in(folder):
    """What is in the source package that was made there."""
    tarball, = (folder / "build/deb").glob("*.tar.xz")
    names = subprocess.run(["tar", "-tf", str(tarball)], check=True, capture_output=True, text=True).stdout
    return sorted(name.split("/", 1)[1] for name in names.splitlines() if not name.endswith("/"))


def loads(chroot, release):
    """The balloon drivers that `modprobe virtio_balloon` would load, in that order."""
    return re.findall(r"^insmod \S*/(virtio_balloon\w*)\.ko", chroot.out(f"modprobe -S {release} --show-depends virtio_balloon"), re.M)


def initramfs(chroot, release):
    """The balloon drivers in its initramfs."""
    names = chroot.out(f"lsinitramfs /boot/initrd.img-{release}")
    return set(re.findall(r"/(virtio_balloon\w*)\.ko", names))


def version_in_initramfs(chroot, release):
    """What it has of ours."""
    return chroot.out(f"rm -rf /tmp/unpacked; unmkinitramfs /boot/initrd.img-{release} /tmp/unpacked && "
                      f"modinfo -F version $(find /tmp/unpacked -name '{MODULE}.ko*')")


@contextlib.contextmanager
def in_tree_in_initramfs(chroot, *releases):
    """In each of these kernels' initramfs there is the in-tree driver, and little else that takes time."""
    folder = chroot.path / "etc/initramfs-tools"
    before = {name: (folder / name).read_text() for name in ("initramfs.conf", "modules")}
    (folder / "initramfs.conf").write_text(before["initramfs.conf"].replace("MODULES=most", "MODULES=list") + "COMPRESS=gzip\n")
    (folder / "modules").write_text("virtio_balloon\n")
    make = "for kernel in {}; do update-initramfs -d -k $kernel || :; update-initramfs -c -k $kernel; done"
    try:
        chroot.run(make.format(" ".join(releases)))
        for release in releases:
            assert initramfs(chroot, release) == {"virtio_balloon"}, initramfs(chroot, release)
        yield
    finally:
        for name, text in before.items():
            (folder / name).write_text(text)


def shrink_package(package, to, version):
    """The same package with a module that is next to nothing."""
    folder = to.parent / "package"
    subprocess.run(["dpkg-deb", "-R", str(package), str(folder)], check=True)
    shrink(folder / f"usr/src/{PACKAGE}-{version}", version)
    subprocess.run(["dpkg-deb", "-b", "-z0", str(folder), str(to)], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(folder)


def put_small(t):
    """The packages, shrunk, as /srv/small_VERSION.deb."""
    for version in (OLDER, t.version):
        shrink_package(t.chroot.path / f"srv/{BINARY}_{version}_all.deb", t.chroot.path / f"srv/small_{version}.deb", version)


def told(output):
    """Lines that say that what is loaded stays."""
    return re.findall(r"^.*the module that is loaded stays.*$", output, re.M)


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
    with t.step("what its documents lead to is in it, and nothing is compressed that they name"):
        folder = BUILD / "install/contents"
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(["dpkg-deb", "-x", str(BUILD / f"deb/{BINARY}_{t.version}_all.deb"), str(folder)], check=True)
        tree = rules.Tree(folder / f"usr/share/doc/{BINARY}")
        # Not what git would say of a folder below build.
        tree.names = sorted(str(path.relative_to(tree.top)) for path in tree.top.rglob("*") if path.is_file())
        assert set(documents.documents(tree)) >= {"README.md", "Documentation/admin-guide.rst", "tests/README.rst"}, tree.names
        broken = documents.links(tree)
        assert not broken, broken
    with t.step("lintian has nothing to say"):
        done = subprocess.run(["lintian", "--allow-root", "--display-info", "--pedantic", "--display-experimental",
                               "--fail-on=error,warning,info,pedantic,experimental", t.changes], capture_output=True, text=True)
        assert done.returncode == 0 and not re.search(r"^[EWIPXO]: ", done.stdout, re.M), done.stdout + done.stderr


def test_made_anywhere(t):
    """make deb where something is missing, or belongs to somebody else."""
    tracked = sorted(subprocess.run(["git", "-C", str(t.release), "ls-files"], check=True, capture_output=True, text=True).stdout.split())
    subprocess.run(["chown", "-R", "1000:1000", str(t.release)], check=True)
    (t.release / "driver/left.o").write_text("")
    try:
        with t.step("in a user's clone, as root, without build-essential"):
            done = make_in(t.release, "deb", without=("build-essential",))
            assert done.returncode == 0, done.stdout[-800:]
            assert sources_in(t.release) == tracked, set(sources_in(t.release)) ^ set(tracked)
        with t.step("in a repository without git"):
            done = make_in(t.release, "deb", hide=("git",))
            assert done.returncode == 0, done.stdout[-800:]
            assert sources_in(t.release) == tracked, set(sources_in(t.release)) ^ set(tracked)
        with t.step("a failure is named, and leaves nothing half-made"):
            control = t.release / "debian/control"
            control.write_text(control.read_text().replace("Build-Depends: ", "Build-Depends: no-such-package, "))
            done = make_in(t.release, "deb")
            assert done.returncode and "error: the package does not build" in done.stdout, done.stdout[-800:]
            assert "no-such-package" in done.stdout, done.stdout[-800:]
            left = [path.name for path in (t.release / "build").iterdir() if path.name != "logs"]
            assert not left, left
    finally:
        subprocess.run(["git", "-c", "safe.directory=*", "-C", str(t.release), "checkout", "-q", "."], check=True)
        (t.release / "driver/left.o").unlink()


def test_dist(t):
    """make dist"""
    made = t.release / f"build/dist/{PACKAGE}-{t.version}.tar.gz"
    with t.step("a release is the same bytes each time"):
        first = make_in(t.release, "dist")
        assert first.returncode == 0, first.stdout
        bytes_of_first = made.read_bytes()
        assert make_in(t.release, "dist").returncode == 0 and made.read_bytes() == bytes_of_first
    with t.step("what is not committed is no release"):
        (t.release / "dkms.conf").write_text((t.release / "dkms.conf").read_text() + "\n")
        (t.release / "new").write_text("")
        done = make_in(t.release, "dist")
        subprocess.run(["git", "-c", "safe.directory=*", "-C", str(t.release), "checkout", "-q", "."], check=True)
        (t.release / "new").unlink()
        assert done.returncode and re.search("not as they are in it: .*dkms.conf.* new", done.stdout), done.stdout
        assert not made.exists()
    with t.step("and without git there is none"):
        done = make_in(t.release, "dist", hide=("git",))
        assert done.returncode and "error: no git: apt-get install git" in done.stdout, done.stdout


def test_life(t):
    """Install, upgrade (to the module that is shipped), remove, purge."""
    put_small(t)
    with t.step("installs, and is first in line for the device"):
        t.chroot.run(f"dpkg --install /srv/small_{OLDER}.deb")
        check_installed(t.chroot, t.now, OLDER)
        assert loads(t.chroot, t.now) == [MODULE, "virtio_balloon"], loads(t.chroot, t.now)
    with t.step("upgrades, and the older one is gone"):
        t.chroot.run(f"dpkg --install /srv/{BINARY}_{t.version}_all.deb")
        check_installed(t.chroot, t.now, t.version)
        sources = [path.name for path in (t.chroot.path / "usr/src").glob(f"{PACKAGE}-*")]
        assert sources == [f"{PACKAGE}-{t.version}"], sources
    with t.step("installs again over itself"):
        t.chroot.run(f"dpkg --install /srv/small_{t.version}.deb")
        check_installed(t.chroot, t.now, t.version)
    with t.step("make dkms-install and dkms-remove leave it alone, and name the package"):
        small(t.chroot, "/srv/small", "0.9.9")
        for what in ("install", "remove"):
            refused(t.chroot, f"error: the package {BINARY} has installed this module: use apt-get", f"make -C /srv/small dkms-{what}")
    with t.step("removed, the in-tree driver is alone"):
        t.chroot.run(f"dpkg --remove {BINARY}")
        assert loads(t.chroot, t.now) == ["virtio_balloon"], loads(t.chroot, t.now)
    with t.step("purged, nothing is left behind"):
        t.chroot.run(f"dpkg --purge {BINARY}")
        t.check_as_before()
        assert not t.chroot.run(f"dpkg-query -W {BINARY}", check=False).stdout.startswith(BINARY)


def test_loaded(t):
    """What is loaded does not change by itself: upgrading and removing say so, in one line."""
    put_small(t)
    install = "dpkg --install /srv/small_{}.deb"
    loaded = t.chroot.path / "sys/module" / MODULE
    with t.step("with nothing loaded nothing is said"):
        assert not told(t.chroot.out(install.format(OLDER)))
    # What the kernel would say; /sys is an empty folder here.
    loaded.mkdir(parents=True)
    (loaded / "srcversion").write_text("0123456789ABCDEF\n")
    with t.step("an upgrade says that the old one stays, and how the new one is loaded"):
        lines = told(t.chroot.out(install.format(t.version)))
        assert len(lines) == 1 and f"'modprobe -r {MODULE} && modprobe {MODULE}'" in lines[0], lines
    with t.step("so does purging"):
        lines = told(t.chroot.out(f"dpkg --purge {BINARY}"))
        assert len(lines) == 1 and f"'modprobe -r {MODULE}'" in lines[0], lines
    shutil.rmtree(t.chroot.path / "sys/module")


def test_initramfs(t):
    """Every initramfs that has the in-tree driver gets this one, of each kernel that the module is built for."""
    both = {MODULE, "virtio_balloon"}
    put_small(t)
    install = "dpkg --install /srv/small_{}.deb"
    with another_kernel(t.chroot, t.now) as other, in_tree_in_initramfs(t.chroot, t.now, other):
        with t.step("installed, of both kernels"):
            t.chroot.run(install.format(OLDER))
            for release in (t.now, other):
                assert initramfs(t.chroot, release) == both, f"{release}: {initramfs(t.chroot, release)}"
        with t.step("upgraded, of both"):
            t.chroot.run(install.format(t.version))
            assert status(t.chroot) == {t.now: "installed", other: "installed"}, status(t.chroot)
            for release in (t.now, other):
                assert version_in_initramfs(t.chroot, release) == t.version, release
        with t.step("removed, of both"):
            t.chroot.run(f"dpkg --purge {BINARY}")
            for release in (t.now, other):
                assert initramfs(t.chroot, release) == {"virtio_balloon"}, f"{release}: {initramfs(t.chroot, release)}"
        with t.step("when headers come after the package"):
            build = t.chroot.path / "lib/modules" / other / "build"
            hidden = build.rename(build.with_name(".build"))
            t.chroot.run(install.format(t.version))
            assert initramfs(t.chroot, other) == {"virtio_balloon"}, initramfs(t.chroot, other)
            hidden.rename(build)
            t.chroot.run(f"/etc/kernel/header_postinst.d/dkms {other}")
            assert initramfs(t.chroot, other) == both, initramfs(t.chroot, other)
            t.chroot.run(f"dpkg --purge {BINARY}")
        with t.step("by make dkms-install and dkms-remove, too, where it is listed: no softdep brings it in"):
            small(t.chroot, "/srv/small", t.version)
            t.chroot.run(f"echo {MODULE} >>/etc/initramfs-tools/modules")
            t.chroot.run("make -C /srv/small dkms-install")
            for release in (t.now, other):
                assert initramfs(t.chroot, release) == both, f"{release}: {initramfs(t.chroot, release)}"
            t.chroot.run("make -C /srv/small dkms-remove")
            for release in (t.now, other):
                assert initramfs(t.chroot, release) == {"virtio_balloon"}, f"{release}: {initramfs(t.chroot, release)}"
    t.chroot.run(f"update-initramfs -u -k {t.now}; rm -rf /tmp/unpacked")
    with t.step("nothing is left"):
        t.check_as_before()


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


def test_debian_13(t):
    """What is made on Debian 13 is for Debian 12, too; and there the module installs as here."""
    folder, release = base("install", "13")
    install = "dpkg --install /srv/small_13.deb"
    with Chroot(folder, "chroot-13") as newer:
        shutil.copytree(t.chroot.path / "srv/source", newer.path / "srv/source")
        with t.step("make deb on Debian 13"):
            newer.run("make -C /srv/source deb")
        made = newer.path / f"srv/source/build/deb/{BINARY}_{t.version}_all.deb"
        for chroot in (newer, t.chroot):
            shrink_package(made, chroot.path / "srv/small_13.deb", t.version)
        with t.step("its package, on Debian 13"):
            newer.run(install)
            check_installed(newer, release, t.version)
        with t.step("from which make dkms-install keeps away"):
            refused(newer, f"error: the package {BINARY} has installed this module", "make -C /srv/source dkms-install")
            newer.run(f"dpkg --purge {BINARY}")
        with t.step("make dkms-install, twice, and make dkms-remove, on Debian 13"):
            small(newer, "/srv/small", t.version)
            for _ in range(2):
                newer.run("make -C /srv/small dkms-install")
                check_installed(newer, release, t.version)
            newer.run("make -C /srv/small dkms-remove")
            assert not status(newer) and not list(newer.path.glob(f"usr/src/{PACKAGE}*")), status(newer)
    with t.step("its package, on Debian 12"):
        t.chroot.run(install)
        check_installed(t.chroot, t.now, t.version)
    t.chroot.run(f"dpkg --purge {BINARY}")


def test_autopkgtest(t):
    """The package's own tests, those for a chroot; boot.py runs the others."""
    files = t.changes.replace("_amd64.changes", ".dsc"), str(BUILD / f"deb/{BINARY}_{t.version}_all.deb")
    done = t.chroot.beside("autopkgtest", "--test-name=builds", "--no-built-binaries", *reversed(files), "--", "chroot", str(t.chroot.path))
    with t.step("autopkgtest"):
        assert re.search(r"^builds +PASS", done.stdout, re.M), done.stdout[-800:]
