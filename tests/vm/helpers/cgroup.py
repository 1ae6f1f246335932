# SPDX-License-Identifier: GPL-2.0-only
"""A cgroup of the guest with a limit of its own."""

CGROUP = "/sys/fs/cgroup/limited"
LIMITED = f"echo $$ >{CGROUP}/cgroup.procs; exec"


def limit_cgroup(vm):
    """A cgroup of 64 MiB, for what is run as LIMITED."""
    vm.run(f"echo +memory >/sys/fs/cgroup/cgroup.subtree_control; mkdir {CGROUP}; echo 64M >{CGROUP}/memory.max")
