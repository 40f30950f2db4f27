# shellcheck shell=bash
# The .rpm by cargo-generate-rpm, and the package of its debug symbols. Sourced by packaging/build.
: "${top:?}" "${version:?}"

make_rpm() {
    local stage=$top/target/rpm machine isa mmn release
    stage_files "$stage"
    python3 "$top/packaging/copyright" >"$stage/LICENSE.crates"
    debug_files "$stage/debug"
    cargo_tool cargo-generate-rpm 0.21.1 --debug
    machine=$(uname -m)
    # What rpm calls %{__isa_name}-%{__isa_bits}, and httpd's own %{_httpd_mmn}.
    case $machine in
        x86_64) isa=x86-64 mmn=20120211x8664 ;;
        aarch64) isa=aarch-64 mmn=20120211aarch64 ;;
        *) die "no .rpm for $machine yet: say here what rpm calls it" ;;
    esac
    release=$(sed -n 's/^Release: *\([0-9]*\).*/\1/p' "$top/rpm/python3-mod_wsgi.spec")
    cat >"$stage/package.toml" <<END
version = "$version"
release = "$release"
[requires]
httpd-mmn = "= $mmn"
"python(abi)" = ">= 3.10"
[provides]
mod_wsgi = "= $version-$release"
"mod_wsgi($isa)" = "= $version-$release"
[obsoletes]
mod_wsgi = "< $version-$release"
END
    cat >"$stage/debuginfo.toml" <<END
name = "python3-mod_wsgi-debuginfo"
summary = "Debug information for package python3-mod_wsgi"
version = "$version"
release = "$release"
assets = [
$(cd "$stage/debug" && find . -name '*.debug' -printf '%P\n' | LC_ALL=C sort |
        sed 's|.*|    { source = "target/rpm/debug/&", dest = "/usr/lib/debug/.build-id/&", mode = "644" },|')
]
[requires]
"python3-mod_wsgi($isa)" = "= $version-$release"
END
    generate_rpm "$stage/" --auto-req find-requires --metadata-overwrite "$stage/package.toml"
    generate_rpm "$stage/" --auto-req disabled --metadata-overwrite "$stage/debuginfo.toml"
    local file
    for file in "$stage"/*.rpm; do
        mv "$file" "$top/dist/"
        say "dist/${file##*/}"
    done
}

generate_rpm() {
    local output=$1
    shift
    (cd "$top" && target/tools/bin/cargo-generate-rpm --package src/module --output "$output" "$@")
}
