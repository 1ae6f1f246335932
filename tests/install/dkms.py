# SPDX-License-Identifier: GPL-2.0-only
"""The module by DKMS: `make dkms-install`, by hand, over a change of kernels, and on kernels that it is not for."""

import contextlib
import os
import re
import shutil

PACKAGE = "virtio-balloon-pressure"
MODULE = "virtio_balloon_pressure"
OLD_KERNEL = "6.1.0-1-cloud-amd64"
NEWER = "0.9.9"


def status(chroot):
    """What dkms says of each kernel: {"6.1.0-…": "installed"}"""
    lines = chroot.out(f"dkms status {PACKAGE}").splitlines()
    return {match[1]: match[2] for line in lines if (match := re.match(rf"{PACKAGE}/\S+, (\S+), \S+: (\w+)", line))}


def check_installed(chroot, release, version):
    """There for modprobe, for that kernel, of that version, in front of the in-tree driver's folder, and signed."""
    assert status(chroot).get(release) == "installed", status(chroot)
    path = chroot.out(f"modinfo -k {release} -F filename {MODULE}")
    assert f"/lib/modules/{release}/updates/dkms/{MODULE}.ko" in path, path
    assert chroot.out(f"modinfo -k {release} -F version {MODULE}") == version
    assert chroot.out(f"modinfo -k {release} -F vermagic {MODULE}").startswith(f"{release} ")
    assert chroot.out(f"modinfo -k {release} -F signer {MODULE}"), "the module is not signed"
    matching = chroot.out(f"modprobe -S {release} -R virtio:d00000005v00001AF4").split()
    assert set(matching) == {MODULE, "virtio_balloon"}, matching


def versions(chroot):
    """Versions of ours that dkms knows."""
    return set(re.findall(rf"^{PACKAGE}/([^,:]+)", chroot.out("dkms status"), re.M))


def state(chroot):
    """What must not change where nothing is to be changed: what dkms says, its sources, and each module that is installed."""
    path = chroot.path
    files = [*path.glob(f"usr/src/{PACKAGE}-*/**/*"), *path.glob(f"lib/modules/*/updates/dkms/{MODULE}.ko*")]
    return chroot.out("dkms status"), {str(file): (file.stat().st_ino, file.stat().st_mtime) for file in files if file.is_file()}


@contextlib.contextmanager
def another_kernel(chroot, now, release=OLD_KERNEL):
    """One more kernel with headers: links to the first one's files under another name."""
    modules = chroot.path / "lib/modules"
    shutil.copytree(modules / now, modules / release, symlinks=True, copy_function=os.link)
    for name in ("config", "vmlinuz"):
        shutil.copy(chroot.path / f"boot/{name}-{now}", chroot.path / f"boot/{name}-{release}")
    try:
        yield release
    finally:
        shutil.rmtree(modules / release)
        for file in (chroot.path / "boot").glob(f"*-{release}"):
            file.unlink()
        (chroot.path / f"var/lib/initramfs-tools/{release}").unlink(missing_ok=True)


def shrink(folder, version, broken=""):
    """Makes its module next to nothing: for tests of how it is installed, not of what takes a minute to build."""
    shutil.rmtree(folder / "driver")
    (folder / "driver").mkdir()
    (folder / "Kbuild").write_text(f"obj-m := {MODULE}.o\n{MODULE}-y := driver/main.o\n")
    (folder / "driver/main.c").write_text(
        f'#include <linux/module.h>\nMODULE_LICENSE("GPL");\nMODULE_VERSION("{version}");\nMODULE_ALIAS("virtio:d00000005v*");\n{broken}\n')


def small(chroot, folder, version, broken=""):
    """A copy of the tree with such a module, in that folder of the chroot."""
    chroot.run(f"rm -rf {folder}; cp -a /srv/source {folder}; "
               f"sed -i 's/^PACKAGE_VERSION=.*/PACKAGE_VERSION=\"{version}\"/' {folder}/dkms.conf")
    shrink(chroot.path / folder.lstrip("/"), version, broken)


def refused(chroot, why, command="make -C /srv/small dkms-install"):
    """It says why, and has changed nothing."""
    before = state(chroot)
    done = chroot.run(command, check=False)
    assert done.returncode and re.search(why, done.stdout), done
    assert state(chroot) == before, f"{why}: something was changed"


def test_make(t):
    """make dkms-install, twice, and make dkms-remove"""
    with t.step("make dkms-install"):
        t.chroot.run("make -C /srv/source dkms-install")
        check_installed(t.chroot, t.now, t.version)
    with t.step("make dkms-install over itself"):
        t.chroot.run("make -C /srv/source dkms-install")
        check_installed(t.chroot, t.now, t.version)
    with t.step("make dkms-remove leaves nothing behind"):
        t.chroot.run("make -C /srv/source dkms-remove")
        t.check_as_before()


def test_kernels(t):
    """make dkms-install with more than one kernel: all of them, or none that has lost what it had."""
    small(t.chroot, "/srv/small", t.version)
    small(t.chroot, "/srv/broken", t.version, broken="#error broken")
    with another_kernel(t.chroot, t.now) as other:
        build = t.chroot.path / "lib/modules" / other / "build"
        both = {t.now: "installed", other: "installed"}
        with t.step("every kernel that has headers gets it"):
            t.chroot.run("make -C /srv/small dkms-install")
            assert status(t.chroot) == both, status(t.chroot)
        with t.step("a module that does not build leaves the one there is"):
            refused(t.chroot, "error: the module does not build for kernel .*; nothing was changed", "make -C /srv/broken dkms-install")
            assert status(t.chroot) == both, status(t.chroot)
        with t.step("so does a want of headers"):
            hidden = build.rename(build.with_name(".build"))
            refused(t.chroot, f"error: kernel {other} has this module, but no headers")
            fake = f"mkdir /tmp/fake; echo 'echo {other}' >/tmp/fake/uname; chmod +x /tmp/fake/uname; PATH=/tmp/fake:$PATH"
            refused(t.chroot, f"error: no headers for the running kernel: apt-get install linux-headers-{other}",
                    f"{fake} make -C /srv/small dkms-install")
            hidden.rename(build)
        with t.step("of a compiler, of dkms, and of root"):
            refused(t.chroot, "error: no compiler nonesuch: apt-get install gcc", "CC='nonesuch -O2' make -C /srv/small dkms-install")
            t.chroot.run("mv /usr/sbin/dkms /usr/sbin/dkms.hidden")
            done = t.chroot.run("make -C /srv/small dkms-install", check=False)
            t.chroot.run("mv /usr/sbin/dkms.hidden /usr/sbin/dkms")
            assert done.returncode and "error: no dkms: apt-get install dkms linux-headers-" in done.stdout, done
            for what in ("install", "remove"):
                refused(t.chroot, "run this as root", f"setpriv --reuid=nobody --clear-groups make -C /srv/small dkms-{what}")
            assert status(t.chroot) == both, status(t.chroot)
        t.chroot.run("make -C /srv/small dkms-remove")
        with t.step("one that it cannot be built for, and that had none, is left out"):
            build.unlink()
            build.mkdir()
            (build / "include").mkdir()
            said = t.chroot.out("make -C /srv/small dkms-install")
            assert f"warning: the module does not build for kernel {other}, which is left without it" in said, said
            assert status(t.chroot) == {t.now: "installed"}, status(t.chroot)
        t.chroot.run("make -C /srv/small dkms-remove")
    with t.step("nothing is left"):
        t.check_as_before()


def test_versions(t):
    """Upgrades by make dkms-install, and what is left of them."""
    small(t.chroot, "/srv/small", t.version)
    small(t.chroot, "/srv/newer", NEWER)
    t.chroot.run("make -C /srv/small dkms-install")
    with t.step("a newer version takes the place of the older, which is gone"):
        t.chroot.run("make -C /srv/newer dkms-install")
        check_installed(t.chroot, t.now, NEWER)
        assert versions(t.chroot) == {NEWER}, versions(t.chroot)
    with t.step("and back"):
        t.chroot.run("make -C /srv/small dkms-install")
        check_installed(t.chroot, t.now, t.version)
        assert versions(t.chroot) == {t.version}, versions(t.chroot)
    with t.step("make dkms-remove takes out all that dkms has"):
        # As it was after an upgrade by an older Makefile: two versions, one of them not installed.
        shutil.copytree(t.chroot.path / "srv/newer", t.chroot.path / f"usr/src/{PACKAGE}-{NEWER}")
        t.chroot.run(f"dkms add {PACKAGE}/{NEWER}")
        t.chroot.run("make -C /srv/small dkms-remove")
        assert not versions(t.chroot), versions(t.chroot)
        t.chroot.run(f"dkms autoinstall -k {t.now}")
        t.check_as_before()
    with t.step("also a folder that dkms does not know, and a version whose sources are gone"):
        t.chroot.run("make -C /srv/small dkms-install")
        unknown = f"/usr/src/{PACKAGE}-0.0.1"
        t.chroot.run(f"rm -rf /usr/src/{PACKAGE}-{t.version}; mkdir {unknown}; cp /srv/small/dkms.conf {unknown}")
        t.chroot.run("make -C /srv/small dkms-remove")
        t.check_as_before()
    with t.step("and says so where there is nothing"):
        assert "there is nothing to remove" in t.chroot.out("make -C /srv/small dkms-remove")


def test_by_hand(t):
    """dkms add, build, install, uninstall, remove"""
    with t.step("dkms add, build, install"):
        source = t.chroot.path / f"usr/src/{PACKAGE}-{t.version}"
        shutil.copytree(t.chroot.path / "srv/source", source)
        name = f"{PACKAGE}/{t.version}"
        t.chroot.run(f"dkms add {name}")
        t.chroot.run(f"dkms build {name} -k {t.now}")
        assert status(t.chroot) == {t.now: "built"}, status(t.chroot)
        t.chroot.run(f"dkms install {name} -k {t.now}")
        check_installed(t.chroot, t.now, t.version)
    with t.step("dkms uninstall, remove leaves nothing behind"):
        t.chroot.run(f"dkms uninstall {name} -k {t.now}")
        assert status(t.chroot) == {t.now: "built"}, status(t.chroot)
        t.chroot.run(f"dkms remove {name} --all")
        shutil.rmtree(source)
        t.check_as_before()


def test_unfit(t):
    """Kernels that the module is not for are left out, and nothing that comes with them fails."""
    headers = t.chroot.path / "lib/modules" / t.now / "build"
    name = f"{PACKAGE}/{t.version}"
    t.chroot.run("make -C /srv/source dkms-install")
    kernels = {"too old": ("5.9.0-1-amd64", ""), "without VIRTIO_BALLOON": ("6.1.0-1-amd64", "/^CONFIG_VIRTIO_BALLOON=/d")}
    for what, (release, change) in kernels.items():
        folder = t.chroot.path / "lib/modules" / release
        with t.step(f"a kernel {what} is left out"):
            shutil.copytree(t.chroot.path / headers.readlink().relative_to("/"), folder / "build", symlinks=True)
            t.chroot.run(f"sed -i '{change}' /lib/modules/{release}/build/.config")
            # 77 is what tells "not for this one" from "does not build".
            refused = t.chroot.run(f"dkms build {name} -k {release}", check=False)
            assert refused.returncode == 77 and "BUILD_EXCLUSIVE directive which does not match" in refused.stdout, refused
            # Its hook calls that a failure where dkms is older than 3.0.11 (dkms issue 302); nothing of ours can help that.
            hook = t.chroot.run(f"/etc/kernel/header_postinst.d/dkms {release}", check=False)
            assert hook.returncode in (0, 11) and "BUILD_EXCLUSIVE directive which does not match" in hook.stdout, hook
            assert release not in status(t.chroot), status(t.chroot)
        shutil.rmtree(folder)
    with t.step("and make says why"):
        for option in ("MEMORY_BALLOON", "PAGE_REPORTING"):
            refused = t.chroot.run(f"make -C /srv/source KDIR=/lib/modules/{t.now}/build CONFIG_{option}=", check=False)
            assert refused.returncode, f"built without CONFIG_{option}"
            assert f"this kernel has no CONFIG_{option}" in refused.stdout, refused.stdout[-400:]
            assert "which CONFIG_VIRTIO_BALLOON brings along" in refused.stdout
    t.chroot.run(f"make -C /srv/source KDIR=/lib/modules/{t.now}/build clean && make -C /srv/source dkms-remove")


def test_next_kernel(t):
    """Another kernel comes and goes by its packages alone: their hooks build the module and take it out again."""
    t.chroot.run("make -C /srv/source dkms-install")
    with t.step("the next kernel's packages bring the module along"):
        t.chroot.run("dpkg --install /srv/next-kernel/*.deb")
        check_installed(t.chroot, t.following, t.version)
        check_installed(t.chroot, t.now, t.version)
    with t.step("and take it away"):
        t.chroot.run(f"dpkg --purge linux-headers-{t.following} linux-image-{t.following}")
        assert status(t.chroot) == {t.now: "installed"}, status(t.chroot)
        assert not (t.chroot.path / "lib/modules" / t.following).exists()
    t.chroot.run("make -C /srv/source dkms-remove")
    # What else came with it.
    t.chroot.run("for deb in /srv/next-kernel/*.deb; do dpkg-deb --field $deb Package; done | xargs dpkg --purge")


def test_plain_make(t):
    """The module without DKMS, and what plain make says where it cannot work."""
    build = f"make -C /srv/source KDIR=/lib/modules/{t.now}/build"
    with t.step("make install: modprobe finds the module"):
        t.chroot.run(f"{build} install")
        assert f"/lib/modules/{t.now}/" in t.chroot.out(f"modinfo -k {t.now} -F filename {MODULE}")
        assert MODULE in t.chroot.out(f"modprobe -S {t.now} -R virtio:d00000005v00001AF4").split()
    t.chroot.run(f"find /lib/modules/{t.now} -name '{MODULE}.ko*' -delete; depmod {t.now}")
    with t.step("make modules_install, too, also below another folder"):
        t.chroot.run(f"{build} modules_install")
        assert MODULE in t.chroot.out(f"modprobe -S {t.now} -R virtio:d00000005v00001AF4").split()
        t.chroot.run(f"find /lib/modules/{t.now} -name '{MODULE}.ko*' -delete; depmod {t.now}")
        t.chroot.run(f"{build} modules_install INSTALL_MOD_PATH=/tmp/elsewhere")
        assert t.chroot.run(f"find /tmp/elsewhere/lib/modules/{t.now} -name '{MODULE}.ko*'").stdout
        assert not t.chroot.run(f"find /lib/modules/{t.now} -name '{MODULE}.ko*'").stdout
    with t.step("a compiler may be two words"):
        t.chroot.run(f"{build} clean && {build} CC='env gcc'")
        refused = t.chroot.run(f"{build} CC='no-such-compiler -O2'", check=False)
        assert refused.returncode and "error: no compiler no-such-compiler" in refused.stdout, refused
    t.chroot.run(f"{build} clean; rm -rf /srv/source/build")
    with t.step("a path with a space is named"):
        t.chroot.run("cp -a /srv/source '/srv/a space'")
        refused = t.chroot.run(f"cd '/srv/a space' && make KDIR=/lib/modules/{t.now}/build", check=False)
        assert refused.returncode and "error: kbuild cannot work in a folder with a space" in refused.stdout, refused
        t.chroot.run("rm -rf '/srv/a space'")
    t.chroot.run(f"rmdir --ignore-fail-on-non-empty /lib/modules/{t.now}/extra /lib/modules/{t.now}/updates 2>/dev/null; true")
    with t.step("nothing is left"):
        t.check_as_before()
