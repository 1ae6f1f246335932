# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Where a Debian of our own, made by mmdebstrap, comes from. Sourced after common.sh.

debian_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# debian_sources SUITE...: apt's lines for these suites, on the mirrors that this machine uses already, whatever they are. A machine
# without the security archive does without it.
debian_sources() {
	local suite label uri
	for suite in "$@"; do
		case $suite in
		*-security) label=Debian-Security ;;
		*) label=Debian ;;
		esac
		uri=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' "Label: $label" 'Created-By: Packages' 2>/dev/null | sed -n 1p)
		[ -z "$uri" ] || echo "deb [signed-by=$debian_keyring] $uri $suite main"
	done
}
