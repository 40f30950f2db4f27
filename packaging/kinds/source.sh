# shellcheck shell=bash
# The source archive, the crates it needs, and Debian's source package of the two. Sourced by packaging/build.
: "${top:?}" "${version:?}" "${deb_version:?}" "${SOURCE_DATE_EPOCH:?}"

make_source() {
    local orig=mod-wsgi_$version.orig stage=$top/target/source
    rm -rf "$stage"
    mkdir -p "$stage"
    source_archive
    vendor_archive "$stage"
    command -v dpkg-source >/dev/null || { say "No dpkg-source here, so no mod-wsgi_$deb_version.dsc."; return; }
    # Debian's source package: the same two files under the names it wants, and debian/.
    cp "$top/dist/mod_wsgi-$version.tar.gz" "$stage/$orig.tar.gz"
    cp "$top/dist/mod_wsgi-$version-vendor.tar.xz" "$stage/$orig-vendor.tar.xz"
    tar -xf "$stage/$orig.tar.gz" -C "$stage"
    tar -xf "$stage/$orig-vendor.tar.xz" -C "$stage/mod_wsgi-$version"
    # The one in the repository speaks of what is in the repository.
    "$top/packaging/copyright" --source "$stage/mod_wsgi-$version" >"$stage/copyright"
    install -m 644 "$stage/copyright" "$stage/mod_wsgi-$version/debian/copyright"
    (cd "$stage" && dpkg-source --build "mod_wsgi-$version") >/dev/null
    mv "$stage"/mod-wsgi_* "$top/dist/"
    say "dist/mod-wsgi_$deb_version.dsc"
}

# The archive of the last commit, which is what a tag names.
source_archive() {
    local archive=mod_wsgi-$version.tar.gz
    git -C "$top" rev-parse --verify --quiet HEAD >/dev/null || die "this folder is no clone of the repository, so there is no commit to take"
    [ -z "$(git -C "$top" status --porcelain --untracked-files=no)" ] || say "Not in it: what is not committed."
    # Only the owner may write the files, as after unpacking them: packing the source package again gives the same.
    git -C "$top" -c tar.umask=0022 archive --format=tar --prefix="mod_wsgi-$version/" HEAD | gzip -9n >"$top/dist/$archive"
    say "dist/$archive"
}

# vendor_archive FOLDER: the folder vendor with every crate in Cargo.lock, and cargo's configuration for it.
vendor_archive() {
    local stage=$1 archive=mod_wsgi-$version-vendor.tar.xz
    (cd "$stage" && cargo vendor --quiet --locked --versioned-dirs --manifest-path "$top/Cargo.toml" vendor) >/dev/null
    # What cargo would print, did it not keep quiet.
    printf '[source.crates-io]\nreplace-with = "vendored-sources"\n\n[source.vendored-sources]\ndirectory = "vendor"\n' \
        >"$stage/vendor/config.toml"
    without_binaries "$stage/vendor"
    tar -C "$stage" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u+w,go-w,a+rX -cf - vendor |
        xz -6 -T1 >"$top/dist/$archive"
    rm -rf "$stage/vendor"
    say "dist/$archive"
}

# without_binaries FOLDER: a source package holds no programs and libraries that somebody else has built. What some crates
# have for their tests, for Windows or for WebAssembly, goes, and so does its entry in cargo's list of checksums.
without_binaries() {
    python3 - "$1" <<'END'
import json, sys
from pathlib import Path

for crate in Path(sys.argv[1]).iterdir():
    listed = crate / ".cargo-checksum.json"
    if not listed.is_file():
        continue
    checksums = json.loads(listed.read_text())
    for path in [path for path in crate.rglob("*") if path.suffix in (".a", ".dll", ".dylib", ".exe", ".lib", ".o", ".so", ".wasm") and path.is_file()]:
        checksums["files"].pop(str(path.relative_to(crate)), None)
        path.unlink()
    listed.write_text(json.dumps(checksums, sort_keys=True))
END
}
