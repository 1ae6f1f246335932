#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Faults of the host policy: its cases must notice each.

mutants.py FOLDER	prints PASS/FAIL lines; compiles in FOLDER
"""
import importlib.util
import pathlib
import sys

sys.dont_write_bytecode = True
HOST = pathlib.Path(__file__).resolve().parent
spec = importlib.util.spec_from_file_location("unit_mutants", HOST.parent / "mutants.py")
mutants = importlib.util.module_from_spec(spec)
spec.loader.exec_module(mutants)

POLICY = mutants.TOP / "qemu/policy/host-pressure-policy.c"
FLAGS = [*mutants.FLAGS, "-w", f"-I{HOST}", f"-I{POLICY.parent}"]

# name, what the policy says, what the mutant says instead
MUTANTS = [
    # H1
    ("low below twice the reserve", "if (sample->free >= reserve) {", "if (sample->free >= reserve * 2) {"),
    ("the reserve itself is short", "if (sample->free >= reserve) {", "if (sample->free > reserve) {"),
    ("medium below a third", "sample->free < reserve / 2 ? HOST_POLICY_MEDIUM", "sample->free < reserve / 3 ? HOST_POLICY_MEDIUM"),
    ("critical below an eighth", "level = sample->free < reserve / 4 ?", "level = sample->free < reserve / 8 ?"),
    ("a stall adds nothing", "        level++;\n", "        ;\n"),
    ("a stall is critical", "        level++;\n", "        level = HOST_POLICY_CRITICAL;\n"),
    ("full is no more than some", "if (stalled(sample->full_us, state->full_us, HOST_POLICY_FULL_US, ms)) {", "if (0) {"),
    ("a stall with memory to spare counts",
     "if (sample->free >= reserve) {\n        return HOST_POLICY_NONE;",
     "if (sample->free >= reserve) {\n        return stalled(sample->some_us, state->some_us, HOST_POLICY_SOME_US, ms);"),
    ("an event with memory to spare counts",
     "if (sample->free >= reserve) {\n        return HOST_POLICY_NONE;",
     "if (sample->free >= reserve) {\n        return sample->now_ms - state->event_ms < EVENT_MS ? state->event_level : 0;"),
    ("a stall is not measured by the time", "(double)least_us * MAX(ms, HOST_POLICY_PERIOD_MS);", "(double)least_us * HOST_POLICY_PERIOD_MS;"),
    ("a stall once seen stays", "    state->some_us = sample->some_us;\n    state->full_us", "    state->full_us"),
    ("a trigger alone is no stall", "(sample->woken && !sample->event_level) ||", "0 ||"),
    ("a trigger waits for the timer", "return sample->woken || sample->now_ms", "return sample->now_ms"),
    ("an event counts for one period", "#define EVENT_MS (2 *", "#define EVENT_MS (1 *"),
    ("an event counts for ever", "if (sample->now_ms - state->event_ms < EVENT_MS) {", "if (state->event_level) {"),
    ("events are not looked at", "if (sample->now_ms - state->event_ms < EVENT_MS) {", "if (0) {"),
    ("a level by hand lowers another", "level = MAX(level, decision->hand_level);", "level = decision->hand_level ? decision->hand_level : level;"),
    ("a level by hand is not looked at", "level = MAX(level, decision->hand_level);", ""),
    ("a level by hand stays for ever", "|| since >= config->hand_timeout_ms) {", ") {"),
    ("nobody wakes when a level by hand ends", "    wake(decision, config->hand_timeout_ms - since);\n", ""),
    ("a level by hand is short of nothing", "if (level == HOST_POLICY_NONE) {\n        return sample->free;", "if (1) {\n        return sample->free;"),
    ("low is taken for half of the reserve", "{ 0, 6, 3, 1 }", "{ 0, 4, 3, 1 }"),
    ("medium is taken for half of the reserve", "{ 0, 6, 3, 1 }", "{ 0, 6, 4, 1 }"),
    ("all look at the same moment", "sample->random % HOST_POLICY_JITTER_MS;", "HOST_POLICY_JITTER_MS / 2;"),
    ("a look every four seconds",
     "sample->now_ms + HOST_POLICY_PERIOD_MS -\n", "sample->now_ms + 2 * HOST_POLICY_PERIOD_MS -\n"),
    ("no timer while nothing is short", "    if (active || state->share < config.ram) {\n        wake", "    if (level) {\n        wake"),
    ("a timer without a source", "    if (active || state->share < config.ram) {\n        wake", "    if (1) {\n        wake"),
    ("without a source memory is looked at", "    if (sample.source) {\n        level = source_level", "    if (1) {\n        level = source_level"),
    # H2
    ("guests give at the reserve and below it only", "config->reserve + config->reserve / 2;", "config->reserve;"),
    ("guests give at twice the reserve", "config->reserve + config->reserve / 2;", "config->reserve * 2;"),
    ("guests give half as much", "#define GIVE 2\n", "#define GIVE 1\n"),
    ("guests give twice as much", "#define GIVE 2\n", "#define GIVE 4\n"),
    ("guests get half as much", "#define GET_PART 4\n", "#define GET_PART 8\n"),
    ("guests get twice as much", "#define GET_PART 4\n", "#define GET_PART 2\n"),
    ("what guests give is a part of their size", "uint64_t most = less(size, config->size_min);", "uint64_t most = size;"),
    ("what guests give is a part of their RAM", "part_of(GIVE * most,", "part_of(GIVE * less(config->ram, config->size_min),"),
    ("the minimum is no limit", "return MAX(MIN(state->share, state->backed), config->size_min);", "return MIN(state->share, state->backed);"),
    ("fixed bytes are given", "part_of(GIVE * most, less(give_below, free), sample->total);", "free < give_below ? config->ram / 32 : 0;"),
    ("what guests get is the same for all", "state->share += part_of(config->ram, less", "state->share += part_of(1ull << 32, less"),
    ("guests get without end", "    state->share = MIN(state->share, config->ram);\n}\n\n/* H8b", "}\n\n/* H8b"),
    ("guests get below the reserve", "less(free, config->reserve) / GET_PART", "free / GET_PART"),
    ("targets run ahead of the guest", " && sample->size <= state->target + BLOCK) {", ") {"),
    ("targets run ahead when critical",
     "sample->size <= state->target + BLOCK) {", "(level == HOST_POLICY_CRITICAL || sample->size <= state->target + BLOCK)) {"),
    ("critical is no more than the flow", "give = level == HOST_POLICY_CRITICAL ? most :", "give = 0 ? most :"),
    ("critical waits for the timer", " ||\n           (level == HOST_POLICY_CRITICAL && state->level != level);", ";"),
    ("triggers make flows larger", "if (!due && level != HOST_POLICY_CRITICAL) {", "if (0) {"),
    ("a guest that grew keeps what it took",
     "    if (give) {\n", "    state->share = MAX(state->share, sample->size);\n    if (give) {\n"),
    ("without the feature the automatic part stays", "    if (!sample.negotiated) {\n        state->share", "    if (0) {\n        state->share"),
    ("without a minimum guests are shrunk", "if (config->has_size_min && (sample->source || level)) {", "if (sample->source || level) {"),
    ("without a source nothing melts", "state->share + config->ram / MELT_PART);", "state->share);"),
    ("without a source it melts at once", "state->share + config->ram / MELT_PART);", "config->ram);"),
    # H3
    ("guests under pressure are shrunk", "if (!sample->guest_level && sample", "if (sample"),
    ("guests under a little pressure are shrunk", "if (!sample->guest_level && sample", "if (sample->guest_level < 2 && sample"),
    ("guests under pressure get nothing",
     "    state->share += part_of(config->ram,", "    state->share += sample->guest_level ? 0 : part_of(config->ram,"),
    ("nobody is told of ten minutes", "        decision->complain = true;\n", ""),
    ("it is told again and again", "        state->complained = true;\n", ""),
    ("it is told once and never again", "        state->complained = false;\n", ""),
    ("the time under pressure is that of the last report", "    if (!state->pressed) {\n", "    if (1) {\n"),
    ("nobody wakes after ten minutes", "        wake(decision, state->pressed_ms + COMPLAIN_MS - sample->now_ms);\n", "",),
    # H4
    ("management's target ends the automatic part",
     "decision->automatic = less(sample.management, own_size(&config, state));",
     "decision->automatic = sample.management != state->target ? 0 : less(sample.management, own_size(&config, state));"),
    ("the automatic part comes on top of management's",
     "decision->automatic = less(sample.management, own_size(&config, state));",
     "decision->automatic = MIN(sample.management, less(config.ram, own_size(&config, state)));"),
    ("a smaller target by management is kept", "    if (give) {\n", "    if (1) {\n"),
    # H6
    ("a level interrupts at once", "if (decision->notify || left <= 0) {", "if (1) {"),
    ("a level that changed a moment ago is lost", "            wake(decision, left);\n", ""),
    ("each look interrupts", "    if (level != state->level) {\n", "    decision->notify = true;\n    if (level != state->level) {\n"),
    ("a target is no interrupt", "decision->notify = decision->target != state->target ||\n                       decision", "decision->notify = decision"),
    ("a level waits although there is an interrupt", "if (decision->notify || left <= 0) {", "if (left <= 0) {"),
    # H8
    ("a promise when it is critical", "    if (level == HOST_POLICY_CRITICAL) {\n        return 0;", "    if (0) {\n        return 0;"),
    ("all that is free is promised to each", "MIN(free, MAX(spare, least));", "free;"),
    ("a promise is less than its part of the host", "spare = MAX(part_of(spare, config->ram, sample->total),", "spare = MAX(0ull,"),
    ("a small guest is promised its part only", "spare / PROMISE_PART);", "0ull);"),
    ("nothing is promised below the reserve", "MAX(spare, least)", "spare"),
    ("the least is promised although little is left", "MIN(free, config->reserve), config->reserve);", "1, 1);"),
    ("what is promised is beyond the guest's size",
     "config->has_size_min ? sample->resident : sample->size;", "sample->size;"),
    ("without a minimum, too, it is what was used", "config->has_size_min ? sample->resident : sample->size;", "sample->resident;"),
    ("more is promised than there is", "return MIN(free, MAX(spare,", "return MAX(0ull, MAX(spare,"),
    ("the whole reserve is promised", "less(free, config->reserve / 2);", "free;"),
    ("the promise is renewed by the timer only", "#define FLOOR_MS 100\n", "#define FLOOR_MS 5000\n"),
    ("the promise is renewed at each call", "#define FLOOR_MS 100\n", "#define FLOOR_MS 0\n"),
    ("nobody renews the promise", "        wake(decision, state->floor_ms + FLOOR_MS - sample.now_ms);\n", "        ;\n"),
    ("the floor is not rounded", "return floor / step * step;", "return floor;"),
    ("the floor is rounded up", "return floor / step * step;", "return (floor + step - 1) / step * step;"),
    ("the floor keeps a guest below its target",
     "    decision->floor = MIN(decision->floor,\n                          less(config.ram, decision->target));\n", ""),
    ("a floor without the feature", "decision->floor = active && sample.negotiated ? state->floor : 0;", "decision->floor = state->floor;"),
    ("memory never used is not looked at", "            back(config, state, sample, promised);\n", "            ;\n"),
    ("memory never used goes at once", "#define BACKED_PART 8\n", "#define BACKED_PART 1\n"),
    ("guests under pressure lose what they never used", "        if (sample->guest_level) {\n            return;", "        if (0) {\n            return;"),
    ("what is backed sinks below the minimum", "MAX(sample->resident + promised, config->size_min);", "sample->resident + promised;\n    state->share = MIN(state->share, MAX(backed, 1));"),
    ("what is backed never rises", "    state->backed = MIN(backed, config->ram);", "    state->backed = MIN(backed, state->backed);"),
    # Whatever is asked
    ("hot-plugged memory is not noticed", "if (config->ram != state->ram) {", "if (0) {"),
    ("management asks for more than RAM", "    sample->management = MIN(sample->management, config->ram);\n", ""),
]


def judge_all(what, chosen, tests, flags, notice, folder):
    """As mutants.py's, of the host policy."""
    mutants.judge_all(what, chosen, tests, flags, notice, folder, (str(POLICY),))


if __name__ == "__main__":
    judge_all("mutant of the host policy", MUTANTS, HOST / "cases.c", FLAGS, mutants.cases_notice, pathlib.Path(sys.argv[1]))
