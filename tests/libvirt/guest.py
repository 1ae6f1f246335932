# SPDX-License-Identifier: GPL-2.0-only
"""A guest of libvirt's: its description, its life, and its agent, which speaks through a virtio-serial port of its own."""

import shutil
import socket
import tarfile
import time

from installed import DEBIANS
from vbpvm import GuestDied, VM, initramfs, kernels, unpacked
from vbpvm.channel import Channel
from vbpvm.console import Console

MODULE = "virtio_balloon_pressure"
GUEST_MIB = 2048
BOOT_S = 600
# Why these: see vm.py. What systemd says while it starts takes time, too, and so does waiting for networks that are not there.
APPEND = ("root=/dev/vda rw console=ttyS0 quiet nokaslr maxcpus=1 noreplace-smp lpj=4000000 no_timer_check cryptomgr.notests "
          "panic=-1 oops=panic systemd.show_status=no systemd.mask=networking.service systemd.mask=e2scrub_reap.service")
XML = """<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name>
  <memory unit='GiB'>2</memory>
  <vcpu>2</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>/srv/images/vmlinux</kernel>
    <initrd>/srv/guest/initrd.img</initrd>
    <cmdline>{append}</cmdline>
  </os>
  <features><acpi/></features>
  <on_reboot>destroy</on_reboot>
  <devices>
    <emulator>{emulator}</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='unsafe' discard='unmap'/>
      <source file='/srv/images/{name}.qcow2'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file='/srv/images/agent.tar'/>
      <target dev='vdb' bus='virtio'/>
      <readonly/>
      <shareable/>
    </disk>
    <controller type='usb' model='none'/>
    <serial type='file'><source path='/srv/console/{name}.log'/></serial>
    <channel type='unix'>
      <source mode='bind' path='/run/{name}.vbp'/>
      <target type='virtio' name='vbp'/>
    </channel>
    {balloon}
  </devices>
  {override}
</domain>
"""
OVERRIDE = """<qemu:override>
    <qemu:device alias='balloon0'>
      <qemu:frontend>
        {}
      </qemu:frontend>
    </qemu:device>
  </qemu:override>"""
PROPERTY = "<qemu:property name='{}' type='{}' value='{}'/>"


def prepare(host):
    """What all guests of this host share: the kernel, and the disk with the agent and our module."""
    # The one that is installed in the guest, unpacked.
    shutil.copy(unpacked.bootable(kernels.get("6.1")), host.shared / "images/vmlinux")
    with tarfile.open(host.shared / "images/agent.tar", "w") as tar:
        for name in ("agent", "touch"):
            tar.add(initramfs._compile(name), name)
        tar.add(kernels.our_module("6.1"), f"{MODULE}.ko")


def override(**properties):
    """libvirt's way to set what it does not know; sizes are in bytes."""
    def line(name, value):
        kind = "bool" if isinstance(value, bool) else "unsigned" if isinstance(value, int) else "string"
        return PROPERTY.format(name.replace("_", "-"), kind, str(value).lower())
    return OVERRIDE.format("\n        ".join(line(*pair) for pair in properties.items()))


class Guest(VM):
    """What VM can ask of its agent, this can. Started by `with Guest(host, "name") as guest:`."""

    def __init__(self, host, name, emulator=DEBIANS, balloon="<memballoon model='virtio'/>", override=""):
        self.host, self.name, self.emulator = host, name, emulator
        self._balloon, self._override = balloon, override
        self.channel = self.console = self._control = None

    def start(self):
        self.host.shell(f"qemu-img create -q -f qcow2 -F raw -b /srv/guest/disk.raw /srv/images/{self.name}.qcow2")
        self.define()
        self.console = Console(self.host.shared / f"console/{self.name}.log")
        self.host.virsh("start", self.name)
        self.wait_boot()

    def wait_boot(self):
        """From its start to the end of all that it does then."""
        self.channel = None             # whatever ran there before does not go on
        self.connect()
        if not self.channel.wait(lambda: self.channel.ready, BOOT_S):
            raise GuestDied(f"{self.name} did not boot within {BOOT_S} s; last words:\n{self.console.tail()}")
        self.run("systemctl is-system-running --wait", timeout=BOOT_S, check=False)

    def define(self):
        """Also for a guest that is there already, and then has the new emulator or devices from its next start on."""
        xml = XML.format(name=self.name, emulator=self.emulator, append=APPEND, balloon=self._balloon, override=self._override)
        (self.host.shared / f"{self.name}.xml").write_text(xml)
        self.host.virsh("define", f"/srv/{self.name}.xml")

    def connect(self):
        """To the port of its QEMU, which has just been started; commands of an earlier QEMU's go on."""
        self._control = socket.socket(socket.AF_UNIX)
        self._control.connect(f"{self.host.outside}/run/{self.name}.vbp")
        self.channel = Channel(self._control, previous=self.channel)

    def stop(self, keep=False):
        if self.channel:
            self.channel.close("the guest has been stopped")
            self._control.close()
        self.host.inside("virsh", "destroy", self.name)
        self.host.inside("virsh", "undefine", self.name, "--managed-save", "--snapshots-metadata")
        if keep and self.console:
            print(f"{self.name}'s last words:\n{self.console.tail()}", flush=True)

    def load_ours(self, parameters=""):
        """As an administrator would who has built it: the module is put where modprobe finds it."""
        self.run(f"install -D -m 644 /srv/vbp/{MODULE}.ko /lib/modules/$(uname -r)/updates/{MODULE}.ko && depmod", timeout=120)
        super().load_ours(parameters)

    def memory(self):
        """virsh dommemstat, in KiB."""
        return {name: int(value) for name, value in (line.split() for line in self.host.virsh("dommemstat", self.name).splitlines())}

    def wait_size(self, kib, tolerance=0, timeout=180):
        """Until the guest has as much as libvirt was told."""
        limit = time.monotonic() + timeout
        while abs((now := self.memory()["actual"]) - kib) > tolerance:
            assert time.monotonic() < limit, f"{self.name} has {now} KiB after {timeout} s, not {kib}"
            time.sleep(0.2)

    def check_console(self, kills=0):
        """Nothing is wrong with its kernel, and it has killed as many as it should."""
        bad, killed = self.console.check()
        assert not bad and killed == kills, f"{bad[:3]}, {killed} OOM kills, not {kills}"
