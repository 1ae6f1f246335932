#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The kernel of the KUnit tier: prints its folder (own-kernel.sh says what is in it). The suite is a module, so that a change of
# the policy or its cases builds no kernel.
set -euo pipefail
. "$(dirname "$0")/../../tools/lib/common.sh"
. "$VBP_TOP/tools/lib/own-kernel.sh"

own_kernel kunit 6 "$VBP_TOP/tests/kunit/kernel.config"
