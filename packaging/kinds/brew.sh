# shellcheck shell=bash
# A Homebrew tap for the source archive. Sourced by packaging/build.
: "${top:?}" "${version:?}"
. "$top/packaging/kinds/source.sh"

make_brew() {
    local tap=$top/dist/homebrew sum
    source_archive
    sum=$(sha256sum "$top/dist/mod_wsgi-$version.tar.gz" | cut -d' ' -f1)
    rm -rf "$tap"
    mkdir -p "$tap/Formula"
    sed "s|^  sha256 \".*\"|  sha256 \"$sum\"|" "$top/homebrew/Formula/mod_wsgi.rb" >"$tap/Formula/mod_wsgi.rb"
    grep -qF "$sum" "$tap/Formula/mod_wsgi.rb" || die "homebrew/Formula/mod_wsgi.rb has no line with sha256"
    cp "$top/homebrew/README.md" "$tap/"
    say "dist/homebrew/Formula/mod_wsgi.rb"
}
