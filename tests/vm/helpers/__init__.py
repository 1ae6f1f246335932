# SPDX-License-Identifier: GPL-2.0-only
"""What several cases do to a guest or its host. How a guest is booted and spoken to is vbpvm's."""
