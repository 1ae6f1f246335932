#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Makes the documents' pictures from their text: Documentation/pictures/NAME.dot by graphviz, NAME.msc by mscgen. The pictures are
# kept in the tree, so that readers need neither. Each ends with the checksum of its text, by which lint sees that it is up to date.
set -euo pipefail
cd "$(dirname "$0")/../Documentation/pictures"

for program in dot mscgen; do
	command -v "$program" >/dev/null || { echo "error: no $program: apt-get install graphviz mscgen" >&2; exit 1; }
done

for text in *.dot *.msc; do
	picture=${text%.*}.svg
	case $text in
	*.dot) dot -Tsvg "$text" -o "$picture" ;;
	*.msc) mscgen -T svg -i "$text" -o "$picture" ;;
	esac
	echo "<!-- $text $(sha256sum <"$text" | cut -d' ' -f1) -->" >>"$picture"
	echo "Documentation/pictures/$picture"
done
