# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# apt as the scripts here use it: lists refreshed only when they must be, progress in short, errors in one line.
# Sourced after common.sh.

apt_log=$VBP_BUILD/logs/apt.log

# Also true for the lists of a machine that was installed long ago: old lists are good enough until a download fails.
apt_have_lists() {
	compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null
}

# apt_refresh WHY: apt-get update, at most once a run (several scripts make up a run, hence the file).
apt_refresh() {
	local mark=$VBP_CACHE/.apt-updated
	if [ -n "$(find "$mark" -mmin -10 2>/dev/null)" ] && apt_have_lists; then
		return 0
	fi
	[ "$(id -u)" = 0 ] || die "$1, and refreshing the package lists needs root: run 'apt-get update' as root, then try again"
	mkdir -p "$(dirname "$apt_log")" "$VBP_CACHE"
	say "refreshing apt's package lists ($1)"
	# A foreign source that does not answer must not stop us: what counts is whether the packages are found afterwards.
	if ! apt-get update >>"$apt_log" 2>&1; then
		warn "'apt-get update' reported errors (see $apt_log); going on with the lists there are"
	fi
	apt_have_lists ||
		die "apt has no package lists: the mirrors in /etc/apt do not answer; check the network and /etc/apt/sources.list*, then try again (log: $apt_log)"
	: >"$mark"
}

# One line that moves on a terminal, a line now and then elsewhere, instead of apt's several hundred. The log has everything.
apt_progress() {
	local terminal=0
	[ ! -t 2 ] || terminal=1
	awk -v log_file="$apt_log" -v terminal=$terminal '
		function show(text) { printf terminal ? "\r\033[K    %s" : "    %s\n", text; fflush() }
		{ print >>log_file; fflush(log_file) }
		/^Need to get / { show("downloading " $4 " " $5) }
		/^Get:/ && terminal { show("downloading " $5 " " $8 " " $9) }
		/^[0-9]+ upgraded, / { total = $3 }
		/^Setting up / { n++; if (terminal || n % 25 == 0 || n == total) show("set up " n " of " total " packages") }
		END { if (terminal) printf "\r\033[K" }' >&2
}

apt_why() {
	if grep -q 'Could not resolve\|Failed to fetch\|Cannot initiate the connection\|Unable to connect\|Could not connect' <<<"$1"; then
		echo 'the mirrors in /etc/apt do not answer or no longer have them; check the network and /etc/apt/sources.list*'
	elif grep -q 'Unable to locate package\|has no installation candidate' <<<"$1"; then
		echo "apt's sources do not have them; this needs the 'main' component of Debian and its security updates"
	elif grep -q 'Could not get lock' <<<"$1"; then
		echo 'another apt is running; wait for it'
	elif grep -q "don't have enough free space\|No space left" <<<"$1"; then
		echo 'the disk is full; free some space'
	else
		grep -m1 '^E: ' <<<"$1" || echo 'apt failed'
	fi
}

# apt_install PACKAGE...: installs them, or stops with the reason. Lists are refreshed when they are missing, or did not do.
apt_install() {
	local try mark
	[ "$(id -u)" = 0 ] ||
		die "these packages are missing and installing needs root: run 'apt-get install --no-install-recommends $*' as root"
	mkdir -p "$(dirname "$apt_log")"
	apt_have_lists || apt_refresh 'there are none'
	say "installing $#: $*"
	for try in 1 2; do
		mark=$(stat -c %s "$apt_log" 2>/dev/null || echo 0)
		if DEBIAN_FRONTEND=noninteractive apt-get -y -o Dpkg::Use-Pty=0 install --no-install-recommends "$@" 2>&1 \
			</dev/null | apt_progress; then
			return 0
		fi
		[ $try = 2 ] || apt_refresh 'some packages could not be had with the lists there are'
	done
	die "cannot install packages: $(apt_why "$(tail -c +$((mark + 1)) "$apt_log")"), then try again (log: $apt_log)"
}

# apt_download DIR PACKAGE=VERSION...: the .deb files into DIR; nothing is installed. Returns 1 if they cannot be had.
apt_download() {
	local dir=$1 out
	shift
	mkdir -p "$(dirname "$apt_log")"
	# apt would like to drop to its own user, who cannot write to the cache.
	if ! out=$(cd "$dir" && apt-get -o APT::Sandbox::User="$(id -un)" download "$@" 2>&1); then
		printf '%s\n' "$out" >>"$apt_log"
		apt_download_why=$(apt_why "$out")
		return 1
	fi
}

# apt_version PACKAGE: the newest version its sources have; nothing if they have none. Reads to the end: with pipefail, a reader
# that stops early makes apt-cache, and so the pipe, fail now and then. The same goes for every pipe here.
apt_version() {
	apt-cache madison "$1" | awk -F' *[|] *' '!/Sources/ && !n++ { print $2 }'
}

# What apt knows has changed exactly when this has.
apt_lists_key() {
	{
		ls -ln --time-style=full-iso /var/lib/apt/lists /etc/apt /etc/apt/sources.list.d 2>/dev/null || :
	} | sha256sum | cut -c1-16
}
