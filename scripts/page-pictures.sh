#!/bin/sh
# Pictures of the page that `ringfence check -o html` writes, to look at: a phone and a
# desk, light and dark, and on paper. Needs chromium (Debian: apt-get install chromium).
#
#     ringfence check -f manifests/ -o html > page.html
#     scripts/page-pictures.sh page.html pictures/
set -eu
[ $# -eq 2 ] || { echo "usage: $0 PAGE.html DIRECTORY" >&2; exit 2; }
page=$(realpath "$1")
mkdir -p "$2"
browser=${BROWSER:-$(command -v chromium || command -v chromium-browser || command -v google-chrome)}
shoot() {
    "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars "$@" "file://$page" 2>/dev/null
}
for width in 390 1200; do
    shoot --blink-settings=preferredColorScheme=1 --window-size=$width,4000 --screenshot="$2/light-$width.png"
    shoot --blink-settings=preferredColorScheme=0 --window-size=$width,4000 --screenshot="$2/dark-$width.png"
done
shoot --no-pdf-header-footer --print-to-pdf="$2/paper.pdf"
echo "look at: light and dark at both widths; nothing wider than the page; no finding cut on paper"
