# SPDX-License-Identifier: GPL-2.0-only
"""Rules of this project that reading the files is enough for. Each returns the list of what breaks it."""

import fnmatch
import os
import pathlib
import re
import subprocess
import urllib.parse

MAX_LINES = 600         # what the style asks for...
HARD_MAX_LINES = 700    # ...and where it becomes an error
# No comment can be put into these, or nobody would read it as a licence.
NO_LICENCE_LINE = {".md", ".svg", ".png", ".txt", ".json", ".csv", ".patch"}
NO_LICENCE_NAME = {"COPYING", "LICENSE", ".gitignore", ".gitattributes"}
# Read by programs as they are: plain lists, patches with headers of their own, one bare name. The licences' own texts have none.
NO_LICENCE_START = ("LICENSES/", "debian/", "qemu/debian/", "qemu/patches", "qemu/base")
LICENCES = re.compile(r"SPDX-License-Identifier: (GPL-2\.0-only|GPL-2\.0-or-later|BSD-3-Clause|"
                      r"\(+GPL-2\.0(-only)? WITH Linux-syscall-note\) OR BSD-3-Clause\)+)")
# Sources and documentation of what we build on, and Debian's own names for its mirrors.
HOSTS = re.compile(r"(^|\.)(kernel\.org|gnu\.org|qemu\.org|gitlab\.com|oasis-open\.org|python\.org|debian\.org|libvirt\.org|w3\.org|"
                   r"lwn\.net|spdx\.org|github\.com|proxmox\.com|example\.(com|org|net))$")
# apt's own: naming them tells nothing about this machine.
PUBLIC_MIRRORS = re.compile(r"^(deb|security|snapshot|ftp\.\w+|archive)\.debian\.org$")
# A checkout right below one of these says nothing about the machine.
USUAL_PLACES = {"/", "/root", "/home", "/tmp", "/usr", "/usr/src", "/srv", "/opt", "/mnt", "/var", "/var/tmp", "/build", "/builds"}


class Tree:
    """The files that are, or are about to be, in the repository."""

    def __init__(self, top):
        self.top = pathlib.Path(top)
        listed = subprocess.run(["git", "-C", str(top), "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True)
        if listed.returncode == 0:
            names = listed.stdout.splitlines()
        else:           # an unpacked archive: everything but what is built
            names = [str(path.relative_to(top)) for path in self.top.rglob("*")
                     if not path.relative_to(top).parts[0] in ("build", ".git") and path.suffix not in (".o", ".ko", ".cmd", ".mod")]
        self.names = sorted(name for name in set(names) if (self.top / name).is_file() and not (self.top / name).is_symlink())

    def text(self, name):
        return (self.top / name).read_text(errors="replace")

    def lines(self, name):
        return self.text(name).splitlines()

    def under(self, *folders, suffixes=(".c", ".h")):
        return [name for name in self.names if name.startswith(folders) and name.endswith(suffixes)]

    def driver(self):
        return self.under("driver/", "include/")


def grep(tree, names, pattern):
    """file:line: text of every match."""
    return [f"{name}:{number}: {line.strip()}" for name in names
            for number, line in enumerate(tree.lines(name), 1) if re.search(pattern, line)]


def version_macros(tree):
    """Presence of what we need is asked for, not a version: distributions backport."""
    names = [name for name in tree.driver() if not name.startswith("include/compat/")]
    return grep(tree, names, r"\b(LINUX_VERSION_CODE|KERNEL_VERSION|LINUX_VERSION_MAJOR|RHEL_RELEASE_CODE)\b|<linux/version\.h>")


def compat_flags(tree):
    """What Kbuild finds out somebody asks for, and the other way round."""
    told = set(re.findall(r"VBP_HAVE_\w+", tree.text("Kbuild")))
    asked = {flag for name in tree.under("include/compat/") for flag in re.findall(r"\bVBP_HAVE_\w+", tree.text(name))}
    broken = [f"{flag} is in Kbuild alone" for flag in sorted(told - asked)] + [f"Kbuild knows no {flag}" for flag in sorted(asked - told)]
    return broken if told else ["Kbuild has no VBP_HAVE_: the rule no longer sees them"]


def policy_includes(tree):
    """The policy must compile where there is no kernel."""
    wrong = []
    for name in tree.under("driver/policy/", suffixes=(".c",)):
        found = re.findall(r"^\s*#\s*include\s+(\S+)", tree.text(name), re.MULTILINE)
        if found != ['"policy.h"']:
            wrong.append(f"{name} includes {' '.join(found) or 'nothing'}, not just \"policy.h\"")
    return wrong


def no_bug(tree):
    """A balloon is no reason to stop a machine."""
    return grep(tree, tree.driver(), r"\b(VM_)?BUG(_ON\w*)?\s*\(|\bpanic\s*\(")


def licences(tree):
    broken = []
    for name in tree.names:
        path = pathlib.PurePath(name)
        if path.suffix in NO_LICENCE_LINE or path.name in NO_LICENCE_NAME or name.startswith(NO_LICENCE_START):
            continue
        lines = tree.lines(name)
        if lines and not LICENCES.search("\n".join(lines[:3])):
            broken.append(f"{name}: no SPDX-License-Identifier of ours in its first three lines")
    return broken


def copyright_agrees(tree):
    """debian/copyright says of each file what the file says of itself, and has each licence. The last paragraph that matches counts."""
    text = tree.text("debian/copyright")
    paragraphs = re.findall(r"^Files: (.*(?:\n .*)*)\n(?:.*\n)*?License: (.+)", text, re.M)
    broken = [] if len(paragraphs) > 1 else ["debian/copyright: the rule no longer sees its paragraphs"]
    texts = set(re.findall(r"^License: (\S+)\n ", text, re.M))
    for name in tree.names:
        told = [licence for patterns, licence in paragraphs if any(fnmatch.fnmatch(name, pattern) for pattern in patterns.split())]
        told = set(told[-1].split(" and ")) if told else set()
        broken += [f"debian/copyright has no text of {licence}" for licence in told - texts]
        if name.endswith(".patch"):     # parts of files of several licences: what it adds is among them
            own = {match[1] for line in tree.lines(name) if line.startswith("+") and (match := LICENCES.search(line))}
            fine = told and own <= told
        else:
            match = LICENCES.search("\n".join(tree.lines(name)[:3]))
            own = {match[1]} if match else told
            fine = told and own == told
        if not fine:
            broken.append(f"debian/copyright says {' and '.join(sorted(told)) or 'nothing'} of {name}, which says {' and '.join(sorted(own))}")
    return sorted(set(broken))


def lengths(tree):
    """Returns what is too long; what is merely long goes to the second list."""
    broken, long = [], []
    for name in tree.names:
        if pathlib.PurePath(name).suffix in (".svg", ".png", ".patch", ".csv", ".json"):
            continue
        count = len(tree.lines(name))
        if count > HARD_MAX_LINES:
            broken.append(f"{name} has {count} lines, more than {HARD_MAX_LINES}: split it")
        elif count > MAX_LINES:
            long.append(f"{name} ({count} lines)")
    return broken, long


def one_version(tree):
    """dkms.conf, the module and the changelog name the same version."""
    versions = {}
    for name, pattern in (("dkms.conf", r'^PACKAGE_VERSION="?([^"\s]+)"?'), ("debian/changelog", r"^\S+ \(([^)]+)\)")):
        if name in tree.names:
            match = re.search(pattern, tree.text(name), re.MULTILINE)
            versions[name] = match[1] if match else None
    for name in tree.under("driver/"):
        text = tree.text(name)
        if match := re.search(r"\bMODULE_VERSION\((\w+|\"[^\"]+\")\)", text):
            value = match[1]
            if not value.startswith('"'):       # a macro
                defined = [m[1] for header in tree.driver()
                           if (m := re.search(rf'#define\s+{value}\s+("[^"]+")', tree.text(header)))]
                value = defined[0] if defined else f"{value} (undefined)"
            versions[f"MODULE_VERSION in {name}"] = value.strip('"')
    broken = [f"{place} names no version" for place, version in versions.items() if not version]
    if len(set(versions.values())) > 1:
        broken.append(", ".join(f"{place}: {version}" for place, version in versions.items()))
    if "dkms.conf" not in versions:
        broken.append("there is no dkms.conf")
    if not any(place.startswith("MODULE_VERSION") for place in versions):
        broken.append("there is no MODULE_VERSION in driver/")
    return broken


def parameters(tree):
    """Names of the module's parameters, as its source declares them."""
    declared = re.compile(r"^(?:module_param\w*|VBP_PARAM\w*)\(\s*(\w+)", re.MULTILINE)     # indented: inside a macro
    return sorted({name for file in tree.under("driver/") for name in declared.findall(tree.text(file))})


def apt_hosts():
    """Where this machine's packages come from: must not be known outside."""
    hosts = set()
    for path in [pathlib.Path("/etc/apt/sources.list"), *pathlib.Path("/etc/apt/sources.list.d").glob("*")]:
        try:
            text = path.read_text(errors="replace")
        except OSError:
            continue
        hosts |= {urllib.parse.urlsplit(url).hostname for url in re.findall(r"https?://\S+", text)}
    return {host for host in hosts if host and not PUBLIC_MIRRORS.match(host)}


def machine_names(tree):
    """Paths of this machine, the mirrors it uses, and addresses of hosts that are nobody's public documentation."""
    top = str(tree.top.resolve())
    words = [re.escape(host) for host in apt_hosts()]
    parent = os.path.dirname(top)
    if parent != "/":           # /build is a folder of the tree as well
        words.append(re.escape(top))
    if parent not in USUAL_PLACES:
        words.append(re.escape(parent) + "/")
    secret = re.compile(r"(?<![\w.-])(" + "|".join(words or [r"(?!)"]) + ")")
    url = re.compile(r"\b(?:https?|ftp|git)://([\w.-]+\.[a-z]{2,})\b")
    broken = []
    for name in tree.names:
        for number, line in enumerate(tree.lines(name), 1):
            if secret.search(line):
                broken.append(f"{name}:{number}: names this machine: {line.strip()}")
            for host in url.findall(line):
                if not HOSTS.search(host) or host in apt_hosts():
                    broken.append(f"{name}:{number}: names the host {host}")
    return broken
