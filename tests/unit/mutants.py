#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""A test that cannot fail is worth nothing: break the policy in one place at a time and expect the cases to notice.

mutants.py FOLDER	prints PASS/FAIL lines; compiles in FOLDER

A mutant that no case notices is a promise nobody checks: write the case. A mutant whose text is no longer in the policy is out of
date: change it along with the policy.
"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
UNIT = TOP / "tests/unit"
FLAGS = ["-std=gnu11", "-O1", "-Wall", "-Wno-unused", f"-I{TOP / 'driver'}", f"-I{UNIT}"]
STEPS = "30000"         # of random sequences: enough for these, and quick

# name, what policy.c or refault.c says, what the mutant says instead
MUTANTS = [
    ("target not clamped to the guest",
     "return min(sample->target_pages, sample->total_pages);", "return sample->target_pages;"),
    ("floor not clamped to the target",
     "return sample->elastic ? min(sample->floor_pages, target) : target;",
     "return sample->elastic ? sample->floor_pages : target;"),
    ("floor ignored",
     "return sample->elastic ? min(sample->floor_pages, target) : target;",
     "return sample->elastic ? 0 : target;"),
    ("elastic ignored for relief",
     "if (!sample->elastic || sample->held_pages <= floor)\n\t\treturn 0;",
     "if (sample->held_pages <= floor / 2)\n\t\treturn 0;\n\tif (!sample->elastic)\n\t\treturn sample->held_pages / 2;"),
    ("elastic ignored by the decision",
     "if (sample->elastic && state->reclaiming &&", "if (state->reclaiming &&"),
    ("elastic ignored for inflation",
     "if (!sample->elastic) {\n\t\tdecision->inflate_pages = missing;", "if (0) {\n\t\tdecision->inflate_pages = missing;"),
    ("reserve without regard to what is left",
     "left / 4);", "sample->total_pages);"),
    ("no reserve",
     "\treturn min(vbp_policy_percent(sample->total_pages, config->reserve_pct),", "\treturn 0 * min(left,"),
    ("reserve of a constant share",
     "vbp_policy_percent(sample->total_pages, config->reserve_pct)", "vbp_policy_percent(sample->total_pages, 10)"),
    ("held above total underflows",
     "if (sample->total_pages > sample->held_pages)\n\t\tleft", "\tleft"),
    ("percent overflows",
     "return div_u64(pages, 100) * pct;", "return div_u64(pages * pct, 100);"),
    ("streaming is need",
     "return sample->oom ||\n\t       sample->available_pages < vbp_policy_reserve(config, sample);", "return true;"),
    ("short at twice the reserve",
     "sample->available_pages < vbp_policy_reserve(config, sample);",
     "sample->available_pages < 2 * vbp_policy_reserve(config, sample);"),
    ("short exactly at the reserve",
     "sample->available_pages < vbp_policy_reserve(config, sample);",
     "sample->available_pages <= vbp_policy_reserve(config, sample);"),
    ("out of memory does not count as short",
     "return sample->oom ||\n\t       sample", "return sample"),
    ("relief without reclaim",
     "if (sample->elastic && state->reclaiming &&", "if (sample->elastic &&"),
    ("relief on stale reclaim",
     "fresh = sample->reclaim || sample->oom || state->refused;", "fresh = true;"),
    ("relief only for failed allocations",
     "fresh = sample->reclaim || sample->oom || state->refused;", "fresh = sample->oom;"),
    ("relief never goes ahead of reclaim",
     "if (fresh || (vbp_policy_follows(state, sample) &&", "if (fresh || (0 &&"),
    ("relief goes ahead for a moment only",
     "#define VBP_FOLLOW_MS\t\t5000", "#define VBP_FOLLOW_MS\t\t1000"),
    ("relief goes ahead for ever",
     "#define VBP_FOLLOW_MS\t\t5000", "#define VBP_FOLLOW_MS\t\t500000000"),
    ("relief goes ahead without looking at what is free",
     "sample->headroom_pages < vbp_policy_step(config, sample)))", "sample->headroom_pages < ~(u64)0))"),
    ("swapping is no pressure",
     "(state->refault.swapping || vbp_policy_short(config, sample))) {", "vbp_policy_short(config, sample)) {"),
    ("any swap-out is pressure",
     "if (swapouts >= VBP_SWAPOUT_LEAST &&\n\t    swapouts >= div_u64(scanned, VBP_SWAPOUT_SCANNED))", "if (swapouts)"),
    ("a cgroup's swapping is the guest's",
     "if (sample->elastic && state->reclaiming &&\n\t    (state->refault.swapping", "if (sample->elastic && (state->reclaiming || state->refault.swapping) &&\n\t    (state->refault.swapping"),
    ("missed page cache gets nothing",
     "if (sample->elastic && vbp_refault_wants(&state->refault)) {", "if (0) {"),
    ("a failed trial goes on",
     "return state->thrash && !state->failed;", "return state->thrash;"),
    ("a trial never fails",
     "\tstate->failed = true;", "\t;"),
    ("a trial always fails",
     "if (state->rate > state->base_rate / 4 * 3) {", "if (1) {"),
    ("a trial that nothing is left for never fails",
     "\t\tvbp_refault_give_up(&state->refault, sample->now_ms,\n\t\t\t\t    config->holdoff_ms);", "\t\t;"),
    ("a trial that nothing is left for fails at once",
     "if (!elastic && state->relieved && state->reclaiming &&\n\t    since >= vbp_policy_holdoff(config, state, sample->host_pressure))",
     "if (!elastic && state->relieved && state->reclaiming)"),
    ("a trial fails while what it was given is not used up",
     "if (!elastic && state->relieved && state->reclaiming &&", "if (!elastic && state->relieved &&"),
    ("a trial that nothing is left for always fails",
     "if (state->trial && state->rate <= state->base_rate / 4 * 3)\n\t\treturn;", ""),
    ("what was never given is given up",
     "if (!elastic && state->relieved && state->reclaiming &&", "if (!elastic && state->reclaiming &&"),
    ("a trial without a limit",
     "} else if (state->given >> (state->fails + 1) >= state->limit) {", "} else if (0) {"),
    ("a first trial takes no more than the page cache",
     "state->given >> (state->fails + 1) >= state->limit", "state->given >> state->fails >= state->limit"),
    ("what is given in a trial is not counted",
     "\tstate->given += step;", "\t;"),
    ("steps of a trial without waiting",
     "if (sample->headroom_pages >= step / 2)\n\t\treturn false;", ""),
    ("a trial begins without reclaim",
     "if (!reclaiming)\n\t\t\treturn false;", ""),
    ("few refaults are many",
     "refaults >= VBP_REFAULT_LEAST;", "refaults;"),
    ("refaults beside a stream are a sign",
     "state->recent_refaults >=\n\t    div_u64(state->recent_scanned, VBP_REFAULT_SCANNED)) {", "1) {"),
    ("refaults are compared with the scans of their own window",
     "return min_t(u64, sum, 1u << 31);", "return min_t(u64, more, 1u << 31);"),
    ("a cgroup's refaults are the guest's",
     "if (many && (state->thrash || state->recent_scanned) &&", "if (many &&"),
    ("growing back is calm",
     "calm > window * VBP_BACKOFF_WINDOW)", "since > window * VBP_BACKOFF_WINDOW)"),
    ("refaults are remembered for ever",
     "\t\tstate->thrash = false;\n\t\tstate->trial = false;\n\t}\n}", "\t}\n}"),
    ("counters of long ago are of now",
     "sample->now_ms - state->window_ms >= VBP_REFAULT_STALE_MS ||", ""),
    ("counters that start anew: refaults",
     "sample->refaults < state->refaults ||", ""),
    ("counters that start anew: swap-outs",
     "sample->swapouts < state->swapouts) {", "0) {"),
    ("what failed once is never tried again",
     "if (since >= state->pause_ms)\n\t\tstate->failed = false;", ""),
    ("what failed is tried again at once",
     "if (since >= state->pause_ms)\n", "if (1)\n"),
    ("what failed is tried as often as before",
     "state->pause_ms = (u64)holdoff_ms << state->fails;", "state->pause_ms = 2 * (u64)holdoff_ms;"),
    ("a trial may never take more than the first",
     "state->given >> (state->fails + 1) >= state->limit", "state->given >> 1 >= state->limit"),
    ("what was no help is kept the longer",
     "\tif (state->refault.failed)\n\t\tstate->backoff = state->trial_backoff;", ""),
    ("a clock that jumps back puts the next trial off",
     "state->failed_ms = min(state->failed_ms, now);\n\tsince = now - state->failed_ms;", "since = now > state->failed_ms ? now - state->failed_ms : 0;"),
    ("missed page cache is not reported",
     "give = vbp_policy_round(config, need, elastic);\n\t}\n\tvbp_policy_give(config, state, sample, decision, give);\n"
     "\tvbp_policy_report(config, sample, decision, need,\n\t\t\t  max(give, decision->deflate_pages));",
     "give = vbp_policy_round(config, need, elastic);\n\t}\n\tvbp_policy_give(config, state, sample, decision, give);"),
    ("missed page cache is not wanted",
     "need = min(step, sample->total_pages);", "need = elastic ? min(step, sample->total_pages) : 0;"),
    ("a part of a step is not missing",
     "need = min(step, sample->total_pages);", "need = elastic ? min(elastic, step) : min(step, sample->total_pages);"),
    ("nothing is watched",
     "(state->reclaiming || state->refault.thrash);", "false;"),
    ("a quiet guest is watched",
     "(state->reclaiming || state->refault.thrash);", "true;"),
    ("a booting guest is inflated",
     "if (sample->now_ms < config->boot_ms) {", "if (0) {"),
    ("relief without the shortage itself",
     "need = reserve - sample->available_pages;", "need = 0;"),
    ("relief without a step",
     "\tneed += step;", "\t;"),
    ("no big step for a failed allocation",
     "\tif (sample->oom)\n\t\tneed = min(", "\tif (0)\n\t\tneed = min("),
    ("need is not bounded by the guest",
     "if (step > sample->total_pages - need)\n\t\treturn sample->total_pages;", ""),
    ("step overflows",
     "step = min(step, sample->total_pages >> VBP_STREAK_MAX) << streak;", "step <<= streak;"),
    ("streak does not enlarge the step",
     "sample->total_pages >> VBP_STREAK_MAX) << streak;", "sample->total_pages >> VBP_STREAK_MAX);"),
    ("streak never ends",
     "state->streak = 0;", ";"),
    ("relief beyond the elastic range",
     "if (need >= elastic)\n\t\treturn elastic;", "if (need >= elastic)\n\t\treturn elastic ? elastic + 1 : 0;"),
    ("relief not rounded to blocks",
     "if (whole == need)\n\t\treturn need;", "return need;"),
    ("rounding beyond the elastic range",
     "return config->block_pages > elastic - whole ?\n\t\t       elastic : whole + config->block_pages;",
     "return whole + config->block_pages;"),
    ("rounding down",
     "elastic : whole + config->block_pages;", "elastic : whole;"),
    ("gate looks at reclaim",
     "if (!elastic || !vbp_policy_short(config, sample))", "if (!sample->reclaim || !elastic || !vbp_policy_short(config, sample))"),
    ("gate always shut",
     "if (!elastic || !vbp_policy_short(config, sample))", "if (1)"),
    ("gate always open",
     "if (!elastic || !vbp_policy_short(config, sample))", "if (!elastic)"),
    ("gate larger than relief",
     "vbp_policy_need(config, sample, 0),", "vbp_policy_need(config, sample, 1),"),
    ("init keeps what was",
     "\t*state = (struct vbp_policy_state){};", "\tstate->last_ms = 0;"),
    ("decision not filled in whole",
     "\t*decision = (struct vbp_policy_decision){};", "\tdecision->relief_pages = decision->inflate_pages = decision->deflate_pages = 0;"),
    ("a clock that jumps back is not noticed",
     "if (now < state->last_ms) {", "if (0) {"),
    ("jump back: the relief stays in the future",
     "state->relieved_ms = min(state->relieved_ms, now);", ";"),
    ("jump back: reclaim stays in the future",
     "state->reclaim_ms = min(state->reclaim_ms, now);", ";"),
    ("jump back: the step stays in the future",
     "state->stepped_ms = min(state->stepped_ms, now);", ";"),
    ("hold-off ignored",
     "if (since < holdoff) {", "if (0) {"),
    ("hold-off waited for too long",
     "vbp_policy_wake(decision, holdoff - since);", "vbp_policy_wake(decision, holdoff);"),
    ("hold-off without a timer",
     "vbp_policy_wake(decision, holdoff - since);", ";"),
    ("hold-off unbounded",
     "#define VBP_HOLDOFF_CAP_MS\tVBP_HOLDOFF_MS_MAX", "#define VBP_HOLDOFF_CAP_MS\t(1000u * VBP_HOLDOFF_MS_MAX)"),
    ("backoff unbounded",
     "#define VBP_BACKOFF_MAX\t\t6", "#define VBP_BACKOFF_MAX\t\t60"),
    ("backoff not applied",
     "u64 holdoff = (u64)config->holdoff_ms << state->backoff;", "u64 holdoff = (u64)config->holdoff_ms;"),
    ("backoff never grows",
     "state->backoff = min_t(u32, state->backoff + 1, VBP_BACKOFF_MAX);", ";"),
    ("backoff never relaxes",
     "\t\tstate->backoff = 0;", "\t\t;"),
    ("backoff grows without re-inflation",
     "else if (state->regrown)", "else if (since > 1000)"),
    ("host pressure ends the hold-off",
     "return max_t(u64, holdoff, VBP_HOLDOFF_MS_MIN);",
     "return host_pressure ? 0 : max_t(u64, holdoff, VBP_HOLDOFF_MS_MIN);"),
    ("host pressure shortens the hold-off below the least",
     "return max_t(u64, holdoff, VBP_HOLDOFF_MS_MIN);", "return holdoff;"),
    ("a hold-off of half the least",
     "return max_t(u64, holdoff, VBP_HOLDOFF_MS_MIN);", "return max_t(u64, holdoff, VBP_HOLDOFF_MS_MIN / 2);"),
    ("host pressure does not shorten the hold-off",
     "holdoff = min_t(u64, holdoff, VBP_HOLDOFF_CAP_MS) >>\n\t\t  min_t(u32, host_pressure, VBP_LEVEL_CRITICAL);",
     "holdoff = min_t(u64, holdoff, VBP_HOLDOFF_CAP_MS);"),
    ("junk host pressure shifts out of range",
     "hurry = min_t(u32, sample->host_pressure,\n\t\t\t\t      VBP_LEVEL_CRITICAL);",
     "hurry = sample->host_pressure & 63;"),
    ("host pressure does not enlarge steps",
     "step = step > missing >> hurry ? missing : step << hurry;", ";"),
    ("host pressure shifts before it bounds",
     "step = step > missing >> hurry ? missing : step << hurry;", "step <<= hurry;"),
    ("re-inflation in one go",
     "step = max_t(u64, step / 2, config->block_pages);", "step = missing;"),
    ("relief that sufficed is not told",
     "decision->level = VBP_LEVEL_LOW;\n\t\tvbp_policy_wake(", "vbp_policy_wake("),
    ("what was refused is forgotten",
     "state->refused = decision->wanted_pages;", "state->refused = false;"),
    ("what was refused is never forgotten",
     "\tstate->refused = false;\n\tif", "\tif"),
    ("steps without distance",
     "if (since >= VBP_REINFLATE_GAP_MS) {", "if (1) {"),
    ("a step ends with its first piece",
     "if (!step) {", "if (!step || since) {"),
    ("step without a timer",
     "\t\tvbp_policy_wake(decision, VBP_REINFLATE_GAP_MS);", "\t\t;"),
    ("never normal again after relief",
     "\t\tstate->relieved = false;", ";"),
    ("a target that dips ends the hold-off",
     "} else if (since >= holdoff) {", "} else {"),
    ("inflation into shortage",
     "if (sample->available_pages < keep + worth) {", "if (!sample->available_pages) {\n\t\tkeep = 0;"),
    ("inflation below the reserve",
     "u64 keep = reserve + reserve / 4;", "u64 keep = reserve / 2;"),
    ("inflation takes all that is available",
     "sample->available_pages - keep);", "sample->available_pages);"),
    ("inflation beyond the target",
     "decision->inflate_pages = min(min(step, missing),", "decision->inflate_pages = min(step + 1,"),
    ("unreached is not said",
     "decision->unreached = true;", ";"),
    ("unreached is not tried again",
     "vbp_policy_wake(decision, VBP_RETRY_MS);", ";"),
    ("what comes and goes is inflated by",
     "\t\tworth += min(missing, vbp_policy_step(config, sample) / 2);", "\t\t;"),
    ("nothing is worth going on for",
     "\tstate->unreached = false;\n", ""),
    ("inflation while reclaim is remembered as pressure",
     "vbp_policy_relieve(config, state, sample, decision);\n\t\treturn;", "vbp_policy_relieve(config, state, sample, decision);"),
    ("level without a timer",
     "\t\tstate->refused = decision->wanted_pages;\n\tvbp_policy_wake(decision, VBP_CALM_MS);", "\t\tstate->refused = decision->wanted_pages;"),
    ("reclaim never forgotten",
     "state->reclaiming = false;", ";"),
    ("reclaim forgotten at once",
     ">=\n\t\t   VBP_CALM_MS && !", ">=\n\t\t   0 && !"),
    ("level always critical",
     "\tif (sample->oom || (available < few && given < few - available))", "\tif (1)"),
    ("level never critical",
     "\tif (sample->oom || (available < few && given < few - available))", "\tif (0)"),
    ("nothing but a kill is critical",
     "\tif (sample->oom || (available < few && given < few - available))", "\tif (sample->oom)"),
    ("a kill is not critical",
     "\tif (sample->oom || (available < few && given < few - available))", "\tif (available < few && given < few - available)"),
    ("critical whatever is given",
     "\tif (sample->oom || (available < few && given < few - available))", "\tif (sample->oom || available < few)"),
    ("no medium level",
     "decision->level = VBP_LEVEL_MEDIUM;", "decision->level = VBP_LEVEL_LOW;"),
    ("a level as if nothing were given",
     "if (need <= given) {\n", "if (need <= given && sample->available_pages >= 2 * few) {\n"),
    ("level of the need not reported",
     "if (need <= given) {\n\t\tdecision->level = VBP_LEVEL_LOW;", "if (need <= given) {\n\t\t;"),
    ("wanted not reported",
     "decision->wanted_pages = need - given;", ";"),
    ("wanted includes what is given",
     "decision->wanted_pages = need - given;", "decision->wanted_pages = need;"),
    ("calm after half a second",
     "#define VBP_CALM_MS\t\t1000", "#define VBP_CALM_MS\t\t500"),
    ("calm after two seconds",
     "#define VBP_CALM_MS\t\t1000", "#define VBP_CALM_MS\t\t2000"),
    ("calm as soon as it is not short",
     "\tif (sample->reclaim || sample->oom || state->refault.swapping)\n\t\tvbp_policy_note_pressed(state, sample->now_ms);", ""),
    ("calm as soon as it is relieved",
     "\tstate->relieved_ms = now;\n\tvbp_policy_note_pressed(state, now);\n}", "\tstate->relieved_ms = now;\n}"),
    ("jump back: the need stays in the future",
     "state->pressed_ms = min(state->pressed_ms, now);", ";"),
    ("the target is not obeyed downwards",
     "\t\tdecision->deflate_pages = sample->held_pages - target;", "\t\t;"),
    ("relief twice, by target and by need",
     "decision->relief_pages = nr_pages - decision->deflate_pages;", "decision->relief_pages = nr_pages;"),
    ("relief is not remembered",
     "\tvbp_policy_note_relief(config, state, sample->now_ms);", "\t;"),
    ("a timer in a quiet guest",
     "\tif (sample->held_pages < target) {\n", "\tvbp_policy_wake(decision, VBP_RETRY_MS);\n\tif (sample->held_pages < target) {\n"),
    ("reserve of up to half of what is left",
     "left / 4);", "left / 2);"),
    ("reserve of no more than an eighth of what is left",
     "left / 4);", "left / 8);"),
    ("relief of the whole reserve, not what it lacks",
     "need = reserve - sample->available_pages;", "need = reserve;"),
    ("calm is counted in the hold-off as it was at first",
     "u64 window = (u64)config->holdoff_ms << state->backoff;", "u64 window = (u64)config->holdoff_ms;"),
    ("a guest that may take nothing is watched",
     "decision->watch = sample->elastic &&", "decision->watch ="),
    ("a level in the first second after boot",
     "state->pressed = state->pressed && since < VBP_CALM_MS;", "state->pressed = since < VBP_CALM_MS;"),
    ("the level that was relieved lasts too long",
     "vbp_policy_wake(decision, VBP_CALM_MS - since);", "vbp_policy_wake(decision, VBP_CALM_MS + since);"),
    ("a trial goes on where the last one failed",
     "\tstate->trial = false;\n\tstate->failed = true;", "\tstate->failed = true;"),
    ("what the last trial was given counts for the next",
     "state->base_rate = state->rate;\n\t\tstate->given = 0;\n\t\tstate->limit = max(sample->cache_pages, step);\n\t} else",
     "state->base_rate = state->rate;\n\t\tstate->limit = max(sample->cache_pages, step);\n\t} else"),
    ("failures are never forgotten",
     "if (since >= 4 * state->pause_ms)\n\t\tstate->fails = 0;", ""),
    ("what was counted long ago counts",
     "div_u64(recent * left, VBP_REFAULT_WINDOW_MAX_MS)", "(left ? recent : recent)"),
    ("what was counted before the first look counts",
     "if (!state->open || sample->now_ms < state->window_ms ||", "if (sample->now_ms < state->window_ms ||"),
    ("refaults of before a gap count",
     "\t\tstate->recent_refaults = 0;", "\t\t;"),
    ("scans of before a gap count",
     "\t\tstate->recent_scanned = 0;", "\t\t;"),
    ("what was missed before a gap is missed",
     "\t\tstate->recent_scanned = 0;\n\t\tstate->thrash = false;", "\t\tstate->recent_scanned = 0;"),
    ("a trial goes on after a gap",
     "\t\tstate->trial = false;\n\t\treturn;", "\t\treturn;"),
    ("a trial goes on when something is missed again",
     "\t\tstate->thrash = false;\n\t\tstate->trial = false;\n\t}\n}", "\t\tstate->thrash = false;\n\t}\n}"),
    ("one burst of swap-outs is many",
     "if (many || state->swapping || since >=", "if (many || since >="),
    ("refaults are counted by the look",
     "state->rate = div_u64(refaults * 1000, (u32)since);", "state->rate = refaults;"),
    ("what helped once helps for ever",
     "/* It helps: as much again. */\n\t\tstate->base_rate = state->rate;", ""),
    ("what helped gets one step more",
     "/* It helps: as much again. */\n\t\tstate->base_rate = state->rate;\n\t\tstate->given = 0;",
     "state->base_rate = state->rate;"),
    ("a trial that helped goes on by steps",
     "state->given = 0;\n\t\tstate->limit = max(sample->cache_pages, step);\n\t}\n",
     "state->given = 0;\n\t\tstate->limit = min(sample->cache_pages, step);\n\t}\n"),
    ("a trial that helped does not follow the page cache",
     "state->given = 0;\n\t\tstate->limit = max(sample->cache_pages, step);\n\t}\n", "state->given = 0;\n\t}\n"),
]


def compile_c(flags, target, *sources):
    """What is wrong with them, in one line, or None."""
    built = subprocess.run(["gcc", *flags, "-o", target, *sources], capture_output=True, text=True)
    if built.returncode:
        return f"it does not compile: {built.stderr.splitlines()[0] if built.stderr else ''}"
    return None


def run(program, *arguments, timeout, **variables):
    """The program's end, or None if it came to none."""
    try:
        return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=timeout,
                              env={**os.environ, "VBP_SEED": "", **variables})
    except subprocess.TimeoutExpired:
        return None


def cases_notice(program):
    """The first case that a mutant fails, or ""."""
    for case in run(program, timeout=20).stdout.split():
        # One that goes round in circles. The policy itself takes less than half a second for any of them.
        ran = run(program, case, timeout=8, VBP_STEPS=STEPS)
        if not ran or ran.returncode:
            return f"noticed by {case}"
    return ""


def judge(label, old, new, text, program, flags, rest, notice):
    """PASS or FAIL line for one mutant."""
    if text.count(old) != 1:
        return f"FAIL {label}: its text is in the source {text.count(old)} times, not once; update the mutant"
    source = program.with_suffix(".c")
    source.write_text(text.replace(old, new))
    wrong = compile_c(flags, program, source, rest)
    if wrong:
        return f"FAIL {label}: {wrong}"
    noticed = notice(program)
    source.unlink()
    program.unlink()
    return f"PASS {label} ({noticed})" if noticed else f"FAIL {label}: nothing noticed"


def judge_all(what, mutants, tests, flags, notice, folder, sources=("policy.c", "refault.c")):
    """A line for each of them, against the tests in one source file; notice(program) says what noticed."""
    # One unit: no name is in both.
    text = "".join((TOP / "driver" / name).read_text() for name in sources)
    rest = folder / f"{tests.stem}-of-mutants.o"
    wrong = compile_c([*flags, "-c"], rest, tests)
    if wrong:
        print(f"FAIL {what}s: {tests.name}: {wrong}")
        return
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(judge, f"{what}: {name}", old, new, text, folder / f"{tests.stem}-mutant-{number}", flags, rest, notice)
                for number, (name, old, new) in enumerate(mutants)]
        for job in jobs:
            print(job.result(), flush=True)


if __name__ == "__main__":
    judge_all("mutant", MUTANTS, UNIT / "policy_main.c", FLAGS, cases_notice, pathlib.Path(sys.argv[1]))
