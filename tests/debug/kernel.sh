#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The kernel that watches itself: prints the line that tests/lib/kernel.sh prints for Debian's, "debug" being the series.
set -euo pipefail
. "$(dirname "$0")/../lib/common.sh"
. "$VBP_TOP/tests/lib/own-kernel.sh"

dir=$(own_kernel debug "$VBP_TOP/tests/debug/kernel.config" 10)
release=$(cat "$dir/release")
printf 'debug %s %s %s %s %s %s\n' "$release" "$(basename "$dir")" "$dir" "$dir/bzImage" "$dir/root/lib/modules/$release" "$dir/tree"
