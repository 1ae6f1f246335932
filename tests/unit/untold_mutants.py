#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Faults of the record of what the host has not been told of: its cases must notice each.

untold_mutants.py FOLDER	prints PASS/FAIL lines; compiles in FOLDER, where run has put the headers
"""
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import mutants          # noqa: E402  (found by the line above)

# name, what untold.c says, what the mutant says instead
MUTANTS = [
    ("growth ignores where the ring begins",
     "ring[i] = *vbp_untold_entry(vb, i);", "ring[i] = vb->host.untold[i];"),
    ("a ring that grew begins where the old one did",
     "\tvb->host.untold_head = 0;\n\tspin_unlock", "\tspin_unlock"),
    ("a ring that grew is not looked at again",
     "} while (size && !err);", "} while (0);"),
    ("a run that joins what follows keeps its start",
     "\t\t\tlast->pfn = pfn;\n", ""),
    ("a run that joins what follows keeps its length",
     "last->pfn = pfn;\n\t\t\tlast->nr_pages += nr_pages;", "last->pfn = pfn;"),
    ("runs with a gap of a page are joined",
     "if (last->pfn + last->nr_pages == pfn) {", "if (last->pfn + last->nr_pages + 1 == pfn) {"),
    ("nothing is joined to what it follows",
     "if (last->pfn + last->nr_pages == pfn) {", "if (0) {"),
    ("nothing is joined to what it precedes",
     "if (pfn + nr_pages == last->pfn) {", "if (0) {"),
    ("the oldest is joined instead of the last",
     "last = vbp_untold_entry(vb, vb->host.untold_count - 1);\n\t\tif", "last = vbp_untold_entry(vb, 0);\n\t\tif"),
    ("the start of a run does not advance",
     "\t\tfirst->pfn += range->nr_pages;\n", ""),
    ("a run is told of in whole, whatever was asked for",
     "range->nr_pages = min(first->nr_pages, max_pages);", "range->nr_pages = first->nr_pages;"),
    ("the ring's start is not moved",
     "vb->host.untold_head = (vb->host.untold_head + 1) &", "vb->host.untold_head = vb->host.untold_head &"),
    ("the ring does not wrap",
     "return &vb->host.untold[(vb->host.untold_head + i) & (vb->host.untold_size - 1)];", "return &vb->host.untold[vb->host.untold_head + i];"),
    ("no room to split a block",
     "\tunits += VBP_BLOCK_PAGES;\n", ""),
    ("no room for what is untold already",
     "return vb->host.untold_count + vbp_untold_units(vb) + units <=", "return vbp_untold_units(vb) + units <="),
    ("no room for single pages",
     "return vb->block_pages / VBP_BLOCK_PAGES + vb->small_pages;", "return vb->block_pages / VBP_BLOCK_PAGES;"),
    ("no room for blocks",
     "return vb->block_pages / VBP_BLOCK_PAGES + vb->small_pages;", "return vb->small_pages;"),
    ("the last entry is never used",
     "vb->host.untold_count + vbp_untold_units(vb) + units <=", "vb->host.untold_count + vbp_untold_units(vb) + units <"),
    ("a record that was forgotten still has a size",
     "\tvb->host.untold_size = 0;\n", ""),
]
FLAGS = [*mutants.FLAGS, f"-I{mutants.TOP / 'driver'}", f"-I{mutants.TOP / 'driver/host'}",
         "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DVBP_DEVICE_H", "-include", "untold_user.h"]


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    mutants.judge_all("mutant of untold.c", MUTANTS, mutants.UNIT / "untold_main.c", [*FLAGS, f"-I{folder}"], mutants.cases_notice,
                      folder, sources=("host/untold.c",))
