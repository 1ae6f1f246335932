# SPDX-License-Identifier: GPL-2.0-only
"""The driver's tracepoints: who watches sees each decision, what came of it, and what the host asks and is told."""

from vbpvm import MIB, PAGE
from vbpvm.runner import vm_test

from helpers.common import settle, unload
from helpers.trace import Trace

GUEST, SMALL, LOAD = 768, 384, 500


@vm_test(either=True, patched=True)
def test_seen(t):
    with t.boot(mem=GUEST, balloon="guest-pressure=on") as vm:
        vm.load_ours()
        target = (GUEST - SMALL) * MIB // PAGE
        with t.step("an inflation"):
            with Trace(vm) as trace:
                vm.balloon(SMALL * MIB)
                vm.wait_actual(SMALL * MIB)
                settle(vm)
            assert {asks["target"] for asks in trace.of("vbp_config_read")} == {target}, trace.of("vbp_config_read")
            sent, landed = trace.of("vbp_inflate"), trace.of("vbp_landed")
            assert trace.sum("vbp_inflate", "pages") == trace.sum("vbp_landed", "pages") == target
            assert sum(bool(one["blocks"]) for one in sent) > 100, "no blocks"
            assert max(one["in_flight"] for one in sent) > max(one["pages"] for one in sent), "never two at a time"
            assert landed[-1]["held"] == vm.pressure("balloon_pages") == target and landed[-1]["in_flight"] == 0, landed[-1]
            assert trace.of("vbp_config_write")[-1]["held"] == target
            assert any(one["inflate"] for one in trace.of("vbp_decision"))
            assert not trace.of("vbp_relief")
        with t.step("relief"):
            with Trace(vm) as trace:
                touched = vm.touch(LOAD, "--quiet")
                assert touched.outcome == "ok", touched
            given = trace.of("vbp_relief")
            assert given and trace.sum("vbp_relief", "pages") == vm.pressure("relief_pages"), given
            assert trace.sum("vbp_decision", "relief") >= trace.sum("vbp_relief", "pages")
            for source in ("kswapd", "worker", "shrinker", "oom", "refault", "pool"):
                seen = sum(one["pages"] for one in given if one["source"] == source)
                assert seen == vm.pressure(f"relief_{source}_pages"), (source, seen)
            assert any(one["reclaim"] and one["relief"] for one in trace.of("vbp_decision"))
            assert any(one["level"] for one in trace.of("vbp_config_write"))
        unload(vm)
