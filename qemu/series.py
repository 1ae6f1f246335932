#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The series for each QEMU it is made for. patches/ is for the oldest; patches-VERSION/ has what differs in VERSION from the one before:

NAME.diff	a change to the patch of that name; without a hunk in it the patch is left out there, and the file says why
NAME.patch	a patch that only this version, and those after it, have

series.py show VERSION DIR	writes the series for VERSION as patches to DIR
series.py save VERSION DIR	the other way round, for whoever changes the series: DIR has the patches as `git format-patch -N --zero-commit
				--no-signature` writes them; the numbers in their names do not count
"""
import difflib
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
FILE = re.compile(r"^(?=diff --git )", re.M)
HUNK = re.compile(r"^(?=@@ )", re.M)
START = re.compile(r"@@ -(\d+)((?:,\d+)?) \+(\d+)((?:,\d+)?) @@.*\n")


class SeriesError(Exception):
    """What is wrong with the series, in one line."""


def names(version):
    """The versions up to this one, oldest first."""
    known = [line.split()[0] for line in (HERE / "base").read_text().splitlines() if not line.startswith("#")]
    if version not in known:
        raise SeriesError(f"there is no series for QEMU {version}: there is one for {', '.join(known)}")
    return known[:known.index(version) + 1]


def change(folder, diff):
    """One file of patches-VERSION, on the patches in folder."""
    patch = folder / f"{diff.name.removesuffix('.diff')}.patch"
    if not patch.exists():
        raise SeriesError(f"{diff.parent.name}/{diff.name}: there is no such patch before this version")
    if "\n@@ " not in f"\n{diff.read_text()}":
        patch.unlink()
        return
    done = subprocess.run(["patch", "-s", "-F0", "--no-backup-if-mismatch", "-r", "-", str(patch)], stdin=diff.open(), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise SeriesError(f"{diff.parent.name}/{diff.name} does not fit the patch any more: {done.stdout.splitlines()[0]}")


def show(version, folder):
    """Writes the series to a folder, which has no other patches afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.patch"):
        old.unlink()
    for patch in (HERE / "patches").glob("*.patch"):
        shutil.copyfile(patch, folder / patch.name)
    for name in names(version)[1:]:
        for diff in sorted((HERE / f"patches-{name}").glob("*.diff")):
            change(folder, diff)
        for patch in (HERE / f"patches-{name}").glob("*.patch"):
            shutil.copyfile(patch, folder / patch.name)


def changed_lines(hunk):
    return [line for line in hunk.splitlines()[1:] if not line.startswith(" ")]


def align(patch, before):
    """The patch with the line numbers and hashes of the one before where it has the same changes: `patch` finds the place."""
    head, *files = FILE.split(patch)
    _, *old_files = FILE.split(before)
    out = [head]
    for number, file in enumerate(files):
        file_head, *hunks = HUNK.split(file)
        # The same file, which may have moved since.
        name = file_head.splitlines()[0].split("/")[-1]
        old = next((text for text in old_files if text.splitlines()[0].split("/")[-1] == name), None)
        if old is None:
            out.append(file)
            continue
        old_head, *old_hunks = HUNK.split(old)
        index = re.search(r"^index .*$", old_head, re.M)
        if index:
            file_head = re.sub(r"^index .*$", index[0], file_head, flags=re.M)
        out.append(file_head)
        for hunk in hunks:
            like = next((text for text in old_hunks if changed_lines(text) == changed_lines(hunk)), None)
            if like is not None:
                old_hunks.remove(like)
                line, mine, theirs = hunk.partition("\n")[0] + "\n", START.match(hunk), START.match(like)
                told = theirs[0] if mine.group(2, 4) == theirs.group(2, 4) else \
                    f"@@ -{theirs[1]}{mine[2]} +{theirs[3]}{mine[4]} @@{theirs[0].split('@@', 2)[2]}"
                hunk = told + hunk[len(line):]
            out.append(hunk)
    return "".join(out)


def slug(name):
    return re.sub(r"^\d+-", "", name)


def save(version, folder):
    """What of the patches in a folder differs from the series of the version before."""
    place = HERE / f"patches-{version}"
    before_version = names(version)[-2]
    place.mkdir(exist_ok=True)
    given = {slug(path.name): path.read_text() for path in folder.glob("*.patch")}
    with tempfile.TemporaryDirectory() as before:
        show(before_version, pathlib.Path(before))
        for path in sorted(pathlib.Path(before).glob("*.patch")):
            diff = place / f"{path.stem}.diff"
            patch, old = given.pop(slug(path.name), None), path.read_text()
            if patch is None:
                if not diff.exists() or "\n@@ " in diff.read_text():
                    diff.write_text("Left out: say here why.\n")
                continue
            # Its words and its author are those of the one before.
            patch = old[:old.index("\n---\n")] + align(patch, old)[align(patch, old).index("\n---\n"):]
            lines = list(difflib.unified_diff(old.splitlines(True), patch.splitlines(True), f"a/{path.name}", f"b/{path.name}", n=2))
            diff.unlink(missing_ok=True)
            if lines:
                diff.write_text("".join(lines))
        for name in given:
            print(f"only in {folder}: {name}; it belongs into {place.name} with a number of its own", file=sys.stderr)


def main(what="", *arguments):
    if what in ("show", "save") and len(arguments) == 2:
        {"show": show, "save": save}[what](arguments[0], pathlib.Path(arguments[1]))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except SeriesError as error:
        sys.exit(f"error: {error}")
