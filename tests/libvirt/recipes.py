# SPDX-License-Identifier: GPL-2.0-only
"""What the guides tell to type on a host with libvirt, typed (guides.py): on a guest whose QEMU is ours."""

import json
import re
import subprocess
import time

from vbpvm import MIB, PAGE

import guides
from guest import BOOT_S, GUEST_MIB, Guest
from host import Host, Virsh
from installed import DEBIANS, OURS

TARGET_KIB = 1 << 20
OUR_DRIVER, IN_TREE_DRIVER = "virtio_balloon_pressure", "virtio_balloon"
# The guide's is of a larger guest.
GUIDES_SIZE_MAX, SIZE_MAX_MIB = "3221225472", 1536
# What is in use, and a program that does not fit beside it.
HOLD, LOAD = "/srv/vbp/touch 300 --quiet --hold 3600", "/srv/vbp/touch 800 --quiet --hold 5"


class Tried(Guest):
    """A guest with the guide's description, for which recipes are typed."""

    def __init__(self, host, name, balloon=None):
        xml = guides.recipe("<qemu:override>", "guest-pressure").replace(GUIDES_SIZE_MAX, str(SIZE_MAX_MIB * MIB))
        balloon = balloon or re.search(r"<memballoon .*/>", xml)[0]
        override = re.search(r"<qemu:override>.*</qemu:override>", xml, re.S)[0]
        super().__init__(host, name, emulator=OURS, balloon=balloon, override=override)

    def type(self, recipe, **options):
        return self.host.shell(recipe.replace("GUEST", self.name), **options)

    def query(self):
        return json.loads(self.type(guides.recipe("query-balloon-pressure")))["return"]

    def wait_floor(self, mib):
        limit = time.monotonic() + 20
        while (now := self.pressure("balloon_floor_pages") * PAGE // MIB) != mib:
            assert time.monotonic() < limit, f"the floor is {now} MiB, not {mib}"
            time.sleep(0.2)

    def settle(self):
        """Our module, programs that stay, and a balloon."""
        self.load_ours()
        self.hold = self.spawn(HOLD)
        # Pressure has been and gone: it need not be waited for as long as usual.
        self.write(f"/sys/module/{OUR_DRIVER}/parameters/holdoff_ms", "2000")
        self.host.virsh("setmem", self.name, "1G", "--live")
        self.shrink()

    def shrink(self):
        """Until the balloon is as large as the host asks for; returns the guest's size in KiB."""
        self.wait_size(TARGET_KIB)
        # QEMU tells libvirt once a second, and what libvirt knows it asks for after a snapshot-revert.
        limit = time.monotonic() + 20
        while f" {TARGET_KIB} KiB" not in (said := self.host.virsh("dominfo", self.name)):
            assert time.monotonic() < limit, said
            time.sleep(0.2)
        return self.memory()["actual"]

    def survives(self):
        """The guest is what it was: its program runs, the balloon gives back what another one needs, and nothing is killed."""
        assert self.hold.running(), self.hold.out
        touched = self.touched_of(self.run(LOAD, timeout=240, check=False))
        assert touched.outcome == "ok", touched
        assert self.memory()["actual"] > TARGET_KIB, self.memory()
        self.check_console()

    def resume(self, connect):
        """A guest that is paused because its agent had nobody to talk to."""
        if connect:
            self.connect()
        self.host.virsh("resume", self.name)


def test_recipes(t):
    with Tried(t.host, "recipes") as guest:
        guest.settle()
        _properties(t, guest)
        _event(t, guest)
        _open_file(t, guest)
        _kept(t, guest)


def _properties(t, guest):
    with t.step("properties by <qemu:override>, and the query"):
        said = guest.query()
        assert said["negotiated"] and said["size-max"] == SIZE_MAX_MIB * MIB and said["target"] == TARGET_KIB << 10, said
        guest.wait_floor(GUEST_MIB - SIZE_MAX_MIB)
    with t.step("a property changed at run time, of which the guest hears at once"):
        guest.type(guides.recipe("qom-set", "size-max"))
        guest.wait_floor(0)
        assert guest.query()["size-max"] == GUEST_MIB * MIB, guest.query()


def _event(t, guest):
    with t.step("the event when the guest's pressure changes"):
        command = guides.recipe("qemu-monitor-event").replace("GUEST", guest.name)
        heard = subprocess.Popen([*guest.host.entry(), "sh", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True)
        try:
            time.sleep(1)
            guest.survives()
            said, _ = heard.communicate(timeout=120)
        finally:
            heard.kill()
        event = re.search(r"event BALLOON_PRESSURE at \S+ for domain '(\S+)': (\{.*\})", said)
        assert event and event[1] == guest.name, said
        assert json.loads(event[2])["level"] in ("low", "medium", "critical"), said


def _open_file(t, guest):
    with t.step("the host's PSI file, opened by virsh's shell and handed over"):
        guest.type(guides.recipe("--pass-fds", "/proc/pressure/memory"))
        host = guest.query()["host"]
        assert host["source"].startswith("/dev/fdset/") and "failed" not in host and host["total"] > 0, host
        time.sleep(5)
        assert guest.query()["host"]["looks"] > host["looks"], host


def _kept(t, guest):
    with t.step("suspended and resumed: the balloon keeps its size, and the guest gets what it needs"):
        before = guest.shrink()
        guest.host.virsh("suspend", guest.name)
        time.sleep(2)
        guest.resume(connect=False)
        assert guest.memory()["actual"] == before, guest.memory()
        guest.survives()
    with t.step("a managed save, and started from it: the same"):
        before = guest.shrink()
        guest.host.virsh("managedsave", guest.name, timeout=200)
        assert guest.host.virsh("domstate", guest.name) == "shut off"
        guest.host.virsh("start", guest.name, "--paused", timeout=200)
        guest.resume(connect=True)
        assert guest.memory()["actual"] == before, guest.memory()
        guest.survives()
    with t.step("a snapshot, and back to it: the same"):
        before = guest.shrink()
        guest.host.virsh("snapshot-create-as", guest.name, "small", timeout=300)
        guest.survives()
        guest.host.virsh("snapshot-revert", guest.name, "small", "--paused", timeout=300)
        guest.resume(connect=True)
        assert guest.memory()["actual"] == before, guest.memory()
        guest.survives()


def test_emulator(t):
    """A guest of our QEMU goes back to Debian's."""
    with Tried(t.host, "moves", guides.recipe("<memballoon", "freePageReporting")) as guest:
        guest.settle()
        with t.step("Debian's QEMU refuses what ours has saved, and says why; ours then goes on with it"):
            before = guest.shrink()
            guest.host.virsh("managedsave", guest.name, timeout=200)
            saved = guest.host.virsh("managedsave-dumpxml", guest.name, "--security-info")
            _change_saved(guest, re.sub(r"<qemu:override>.*</qemu:override>", "", saved.replace(OURS, DEBIANS), flags=re.S))
            try:
                said = guest.host.virsh("start", guest.name, timeout=200)
            except Virsh as error:
                # Since QEMU 10 the reason is only in the guest's log.
                said = str(error) + guest.host.shell(f"tail -n 5 /var/log/libvirt/qemu/{guest.name}.log")
            assert "Features" in said and "unsupported" in said, said
            _change_saved(guest, saved)
            guest.host.virsh("start", guest.name, "--paused", timeout=200)
            guest.resume(connect=True)
            assert guest.memory()["actual"] == before, guest.memory()
            guest.survives()
        with t.step("switched off, and back on Debian's QEMU"):
            guest.type(guides.recipe("virsh edit", DEBIANS), timeout=BOOT_S)
            guest.wait_boot()
            assert f"<emulator>{DEBIANS}<" in guest.host.virsh("dumpxml", guest.name)
            guest.settle()
            guest.survives()
        with t.step("the guest back to its kernel's own driver, which goes on with the same balloon"):
            assert guest.driver() == OUR_DRIVER, guest.driver()
            guest.run(guides.recipe("modprobe -r"), timeout=120)
            assert guest.driver() == IN_TREE_DRIVER, guest.driver()
            guest.wait_size(TARGET_KIB)
            assert guest.hold.running(), guest.hold.out
            guest.check_console()


def test_migration(t):
    """A guest moves to another host's libvirtd, and its balloon with it."""
    other = Host(f"{t.suite}-other", t.host.root, t.host.guest, beside=t.host)
    with other, Tried(t.host, "moves-on") as guest:
        guest.settle()
        with t.step("live, with a balloon: the same size at the other host, and the guest gets what it needs"):
            before, said = guest.shrink(), guest.query()
            command = guides.recipe("virsh migrate").replace("qemu+ssh://OTHER/system", other.uri)
            # There is no network between the two. The disk is cached, which both see. It must not run before its agent is listened to.
            guest.type(f"{command} --migrateuri unix:///srv/moves-on.migration --unsafe --suspend", timeout=600)
            assert guest.name not in t.host.virsh("list", "--all", "--name"), "it is still here"
            guest.host = other
            guest.resume(connect=True)
            assert guest.memory()["actual"] == before, guest.memory()
            now = guest.query()
            assert all(now[name] == said[name] for name in ("negotiated", "target", "size-max")), (said, now)
            guest.survives()


def _change_saved(guest, xml):
    (guest.host.shared / "saved.xml").write_text(xml)
    guest.host.virsh("managedsave-define", guest.name, "/srv/saved.xml")


def test_all(t):
    """At the end of a run of all tests."""
    with t.step("no recipe of the guides was left out"):
        assert not guides.untried(), guides.untried()
