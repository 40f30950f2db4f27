# shellcheck shell=bash
# The .deb by cargo-deb, finished where cargo-deb stops, and the package of its debug symbols. Sourced by packaging/build.
: "${top:?}" "${deb_version:?}" "${SOURCE_DATE_EPOCH:?}"

# Of the same source package as debian/control has it.
deb_source=mod-wsgi

make_deb() {
    local stage=$top/target/deb name architecture
    stage_files "$stage"
    python3 "$top/packaging/copyright" >"$stage/copyright"
    gzip -9n <"$top/CHANGELOG.md" >"$stage/changelog.gz"
    gzip -9n <"$top/debian/NEWS" >"$stage/NEWS.Debian.gz"
    cargo_tool cargo-deb 3.8.0
    (cd "$top" && target/tools/bin/cargo-deb --quiet --no-build --no-dbgsym --no-strip --package mod_wsgi ${target:+--target "$target"} \
        --deb-version "$deb_version" --output "$stage/unfinished.deb") >/dev/null
    name=$(dpkg-deb -f "$stage/unfinished.deb" Package)
    architecture=$(dpkg-deb -f "$stage/unfinished.deb" Architecture)

    # cargo-deb writes neither md5sums nor the names of owners nor the name of the source package.
    dpkg-deb -R "$stage/unfinished.deb" "$stage/tree"
    sed -i "s/^Package: .*/&\nSource: $deb_source/" "$stage/tree/DEBIAN/control"
    # Of another architecture's libraries dpkg-shlibdeps knows nothing. A symbol of version GLIBC_N is in libc6 since N.
    if ! dpkg-deb -f "$stage/unfinished.deb" Depends | grep -q 'libc6 (>= '; then
        [ -n "$target" ] || die "dpkg-shlibdeps has found no libc6"
        sed -i "s/^Depends: /&libc6 (>= $(newest_glibc "$stage")), /" "$stage/tree/DEBIAN/control"
    fi
    finish_deb "$stage/tree" "${name}_${deb_version}_$architecture.deb"
    make_dbgsym "$stage/debug" "$name" "$architecture"
}

# newest_glibc FOLDER: the newest version of a symbol of the C library that a library in there asks for.
newest_glibc() {
    find "$1" -name '*.so' -exec readelf --version-info {} + | grep -oE 'GLIBC_[0-9.]+' | sort -Vu | tail -n 1 | sed 's/^GLIBC_//'
}

# make_dbgsym FOLDER PACKAGE ARCHITECTURE: what dh_strip makes, where gdb looks for it. cargo-deb's own has no changelog
# and no copyright file.
make_dbgsym() {
    local tree=$1 name=$2 architecture=$3 ids
    debug_files "$tree/usr/lib/debug/.build-id"
    ids=$(cd "$tree/usr/lib/debug/.build-id" && find . -name '*.debug' -printf '%P\n' | LC_ALL=C sort | tr -d / | sed 's/\.debug$//' | paste -sd ' ')
    mkdir -p "$tree/DEBIAN" "$tree/usr/share/doc"
    ln -s "$name" "$tree/usr/share/doc/$name-dbgsym"
    cat >"$tree/DEBIAN/control" <<END
Package: $name-dbgsym
Source: $deb_source
Version: $deb_version
Auto-Built-Package: debug-symbols
Architecture: $architecture
Maintainer: $(dpkg-deb -f "$top/target/deb/unfinished.deb" Maintainer)
Installed-Size: $(du -k -s --apparent-size "$tree/usr" | cut -f1)
Depends: $name (= $deb_version)
Section: debug
Priority: optional
Description: debug symbols for $name
Build-Ids: $ids
END
    finish_deb "$tree" "$name-dbgsym_${deb_version}_$architecture.deb"
}

# finish_deb FOLDER FILE: checksums, times, owners; then the package into dist/.
finish_deb() {
    local tree=$1 file=$2
    (cd "$tree" && find . -type f ! -path './DEBIAN/*' ! -path './etc/*' -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums)
    chmod -R u+w,go-w,a+rX "$tree"
    chmod 644 "$tree/DEBIAN/md5sums" "$tree/DEBIAN/control"
    find "$tree" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    dpkg-deb --root-owner-group -Zxz -b "$tree" "$top/dist/$file" >/dev/null
    say "dist/$file"
}
