#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A kernel whose own balloon driver is built in, as Ubuntu's.
set -euo pipefail
. "$(dirname "$0")/../../tools/lib/common.sh"
. "$VBP_TOP/tools/lib/own-kernel.sh"

own_kernel_line builtin 5 "$VBP_TOP/tests/install/kernel.config"
