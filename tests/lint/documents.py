# SPDX-License-Identifier: GPL-2.0-only
"""
README.md, tests/README.rst and Documentation/: what they link to, name or tell the reader to run is there. Each returns what breaks
the rule.
"""

import fnmatch
import functools
import hashlib
import io
import pathlib
import posixpath
import re
import urllib.parse

import docutils.core
from docutils import nodes

# Paths of the tree, with or without their folder: not the end of a longer one, as of /etc or of an address.
FILE = re.compile(r"(?<![\w/.:~*-])([\w*-][\w.*-]*/)*[\w*-][\w.*-]*\.(c|h|py|sh|rst|md|svg|conf|config|patch)\b")
FOLDER = re.compile(r"(?<![\w/.:~*-])[\w-]+(/[\w.*-]+)+/?|(?<![\w/.:~*-])[\w-]+/(?!\S)")
MAKE = re.compile(r"^\s*(?:[A-Z]+=\S*\s+)*make +([a-z][\w-]*)", re.M)
URL = re.compile(r"\bhttps?:[^\s<>\"'`]*")
# What is made here, and the folders that the kernel's and QEMU's sources have and we have not.
ELSEWHERE = ("build/", "arch/", "drivers/", "fs/", "hw/", "include/linux/", "kernel/", "linux/", "mm/", "scripts/")
# Names, not places: nobody is led there.
NAMESPACES = ("http://libvirt.org/schemas/",)
MARKDOWN_LINK = re.compile(r"!?\[[^\]]*\]\(([^()\s]*)\)|^\[[^\]]+\]:\s*(\S+)", re.M)


def documents(tree):
    return [name for name in tree.names
            if name in ("README.md", "tests/README.rst") or name.startswith("Documentation/") and name.endswith((".rst", ".md"))]


@functools.lru_cache(maxsize=None)
def parse(path):
    """The document, and what docutils has to say about it."""
    said = io.StringIO()
    # No highlighting: it would need another package. Nothing of this machine's, neither its configuration nor its files.
    settings = {"report_level": 2, "halt_level": 5, "warning_stream": said, "syntax_highlight": "none", "_disable_config": True,
                "file_insertion_enabled": False, "raw_enabled": False}
    document = docutils.core.publish_doctree(path.read_text(), source_path=path.name, settings_overrides=settings)
    # Each with a piece of the text below it.
    return document, [line for line in said.getvalue().splitlines() if re.search(r"\((WARNING|ERROR|SEVERE)/\d\)", line)]


def well_formed(tree):
    """Tables, titles and references to titles are what they look like."""
    return [line for name in documents(tree) if name.endswith(".rst") for line in parse(tree.top / name)[1]]


def _links(tree, name):
    """Targets of a document's links and pictures."""
    if name.endswith(".md"):
        # Code has brackets of its own.
        prose = re.sub(r"^(?: {4}|\t).*$|`[^`]*`", "", tree.text(name), flags=re.M)
        return [first or second for first, second in MARKDOWN_LINK.findall(prose)]
    document = parse(tree.top / name)[0]
    return [node["refuri"] for node in document.findall(nodes.reference) if "refuri" in node] + \
           [node["uri"] for node in document.findall(nodes.image)]


def _anchors(tree, name):
    """What #... in a link to this document may be: GitHub's names for Markdown's titles, docutils' own for the others."""
    if name.endswith(".md"):
        titles = re.findall(r"^#+ +(.*)$", tree.text(name), re.M)
        return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    if name.endswith(".rst"):
        return set(parse(tree.top / name)[0].ids)
    return set()


def links(tree):
    """Links within the tree lead somewhere."""
    broken = []
    for name in documents(tree):
        for target in _links(tree, name):
            parts = urllib.parse.urlsplit(target)
            if parts.scheme:
                continue
            place = posixpath.normpath(posixpath.join(posixpath.dirname(name), urllib.parse.unquote(parts.path))) if parts.path else name
            if place not in tree.names and not _is_folder(tree, place):
                broken.append(f"{name}: the link to {target} leads nowhere")
            elif parts.fragment and parts.fragment not in _anchors(tree, place):
                broken.append(f"{name}: {place} has no title for #{parts.fragment}")
    return broken


def addresses(tree):
    """Of addresses elsewhere only the form is looked at: no rule may need a network."""
    broken = []
    for name in documents(tree):
        text = tree.text(name)
        for url in URL.findall(text):
            url = url.rstrip(".,;:")
            if url.startswith(NAMESPACES):
                continue
            # What closes a Markdown link or a bracket around it is not part of it.
            while url.endswith(")") and url.count(")") > url.count("("):
                url = url[:-1].rstrip(".,;:")
            try:
                parts = urllib.parse.urlsplit(url)
                host = parts.hostname or ""
                fine = (parts.scheme == "https" and "." in host.strip(".") or host == "localhost") and parts.port != 0
            except ValueError:
                fine = False
            if not fine or not re.fullmatch(r"[\w.-]+", host) or parts.username is not None:
                broken.append(f"{name}: {url} is no address that https could open")
    return broken


def _is_folder(tree, place):
    return place == "." or any(name.startswith(f"{place.rstrip('/')}/") for name in tree.names)


def _is_there(tree, place):
    """A path from the top, a bare name of a file anywhere, or a pattern of either."""
    if place.startswith(ELSEWHERE):
        return True
    if fnmatch.filter(tree.names, place) or _is_folder(tree, place):
        return True
    # As from Documentation/ or from a folder that was named just before.
    return bool(fnmatch.filter(tree.names, f"*/{place}"))


def files(tree):
    """Files and folders of the tree that are named, in prose, tables and diagrams, exist."""
    tops = {pathlib.PurePath(name).parts[0] for name in tree.names if "/" in name}
    broken = []
    for name in documents(tree):
        text = URL.sub("", tree.text(name))
        named = {match[0] for match in FILE.finditer(text)}
        named |= {match[0] for match in FOLDER.finditer(text) if match[0].split("/")[0] in tops}
        broken += [f"{name}: there is no {place}" for place in sorted(named) if not _is_there(tree, place)]
    return broken


def _code(tree, name):
    """What a document shows as code, in a line or in a block of its own."""
    if name.endswith(".md"):
        text = tree.text(name)
        return re.findall(r"`([^`]+)`", text) + ["\n".join(re.findall(r"^(?: {4}|\t)(.*)$", text, re.M))]
    return [node.astext() for kind in (nodes.literal, nodes.literal_block) for node in parse(tree.top / name)[0].findall(kind)]


def targets(tree):
    """What `make` is told to make, the Makefile says it can."""
    known = set(re.findall(r"^([a-z][\w-]*):.*## ", tree.text("Makefile"), re.M))
    broken = [] if known else ["Makefile: the rule no longer sees its targets"]
    for name in documents(tree):
        for code in _code(tree, name):
            broken += [f"{name}: there is no `make {target}`" for target in MAKE.findall(code) if target not in known]
    return broken


def pictures(tree):
    """Each picture was made from its text as it is now; tools/pictures.sh writes the checksum into it."""
    texts = tree.under("Documentation/pictures/", suffixes=(".dot", ".msc"))
    broken = [] if texts else ["Documentation/pictures: the rule no longer sees any text"]
    made = {pathlib.PurePath(name).with_suffix(".svg").as_posix(): name for name in texts}
    for picture in sorted({*made, *tree.under("Documentation/pictures/", suffixes=(".svg",))}):
        if picture not in made or picture not in tree.names:
            broken.append(f"{picture}: there is only the picture, or only its text")
        elif hashlib.sha256((tree.top / made[picture]).read_bytes()).hexdigest() not in tree.text(picture):
            broken.append(f"{picture}: its text has changed, run `make pictures`")
    return broken


def packaged(tree):
    """The package has what its documents link to, at the same place from one another."""
    shipped = set(tree.text("debian/virtio-balloon-pressure-dkms.docs").split())
    for name, folder in re.findall(r"dh_install -p\S+ (\S+) \$\(DOC\)/(\S+)", tree.text("debian/rules")):
        if folder == posixpath.dirname(name):
            shipped.add(name)

    def is_shipped(place):
        return place in shipped or any(place.startswith(f"{one}/") for one in shipped)
    broken = [f"the package has not {name}" for name in documents(tree) if not is_shipped(name)]
    for name in filter(is_shipped, documents(tree)):
        for target in _links(tree, name):
            place = posixpath.normpath(posixpath.join(posixpath.dirname(name), urllib.parse.urlsplit(target).path))
            if not urllib.parse.urlsplit(target).scheme and urllib.parse.urlsplit(target).path and not is_shipped(place):
                broken.append(f"the package has {name}, but not {place}, which it links to")
    return broken


def _entries(text):
    """What was typed, each with its answer."""
    return [entry.rstrip() for entry in re.split(r"^(?=(?:host|guest)# )", text, flags=re.M)[1:]]


def quotes(tree):
    """
    What the README shows of the experiment is what tests/libvirt has printed. It may leave out whole commands with their answers, in
    blocks of its own, but no line of an answer.
    """
    kept = tree.text("Documentation/experiment.txt")
    entries = [entry.rpartition("\n\n")[0] if re.search(r"\n\n.*\n-+$", entry) else entry for entry in _entries(kept)]
    blocks = re.findall(r"(?:^(?: {4}|\t).*\n)+", tree.text("README.md"), re.M)
    quoted = [entry for block in blocks for entry in _entries(re.sub(r"^(?: {4}|\t)", "", block, flags=re.M))]
    broken = [] if entries and quoted else ["README.md: the rule no longer sees what it quotes"]
    return broken + [f"README.md: not in Documentation/experiment.txt: {entry}" for entry in quoted if entry not in entries]
