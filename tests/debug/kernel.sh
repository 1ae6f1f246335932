#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The kernel that watches itself.
set -euo pipefail
. "$(dirname "$0")/../../tools/lib/common.sh"
. "$VBP_TOP/tools/lib/own-kernel.sh"

own_kernel_line debug 10 "$VBP_TOP/tests/debug/kernel.config"
