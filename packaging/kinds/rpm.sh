# shellcheck shell=bash
# The .rpm of Fedora and its relatives and that of openSUSE by cargo-generate-rpm, and the packages of their debug symbols. Sourced by packaging/build.
: "${top:?}" "${version:?}" "${machine:?}"

make_rpm() {
    local stage=$top/target/rpm isa mmn release
    stage_files "$stage"
    python3 "$top/packaging/copyright" >"$stage/LICENSE.crates"
    debug_files "$stage/debug"
    cargo_tool cargo-generate-rpm 0.21.1 --debug
    # What rpm calls %{__isa_name}-%{__isa_bits}, and httpd's own %{_httpd_mmn}.
    case $machine in
        x86_64) isa=x86-64 mmn=20120211x8664 ;;
        aarch64) isa=aarch-64 mmn=20120211aarch64 ;;
        *) die "no .rpm for $machine yet: say here what rpm calls it" ;;
    esac
    release=$(sed -n 's/^Release: *\([0-9]*\).*/\1/p' "$top/rpm/python3-mod_wsgi.spec")
    # The scripts stand here and not in Cargo.toml, from where the package of debug symbols would have them, too.
    cat >"$stage/python3-mod_wsgi.toml" <<END
version = "$version"
release = "$release"
require-sh = true
post_install_script = "rpm/fedora/post"
post_install_script_prog = ["/bin/sh"]
post_trans_script = "rpm/fedora/posttrans"
post_trans_script_prog = ["/bin/sh"]
[requires]
httpd-mmn = "= $mmn"
"python(abi)" = ">= 3.10"
[provides]
mod_wsgi = "= $version-$release"
"mod_wsgi($isa)" = "= $version-$release"
$(sed -n 's/^Provides: *\(bundled(crate(.*))\) = \(.*\)/"\1" = "= \2"/p' "$top/rpm/python3-mod_wsgi.spec")
[obsoletes]
mod_wsgi = "< $version-$release"
[conflicts]
$(sed -n 's/^Conflicts: *\(.*\)/"\1" = "*"/p' "$top/rpm/python3-mod_wsgi.spec")
END
    cat >"$stage/apache2-mod_wsgi.toml" <<END
version = "$version"
release = "$release"
[requires]
apache2 = "*"
apache_mmn_20120211 = "*"
suse_maintenance_mmn_0 = "*"
"python(abi)" = ">= 3.10"
[provides]
mod_wsgi = "= $version-$release"
apache2-mod_wsgi-python3 = "= $version-$release"
[obsoletes]
apache2-mod_wsgi-python3 = "< $version-$release"
END
    make_rpm_of "$stage" python3-mod_wsgi
    make_rpm_of "$stage" apache2-mod_wsgi --variant opensuse
    local file
    for file in "$stage"/*.rpm; do
        mv "$file" "$top/dist/"
        say "dist/${file##*/}"
    done
}

# make_rpm_of STAGE NAME [OPTION...]: the package, and that of its debug symbols.
make_rpm_of() {
    local stage=$1 name=$2
    shift 2
    cat >"$stage/debuginfo.toml" <<END
name = "$name-debuginfo"
summary = "Debug information for package $name"
version = "$version"
release = "$release"
assets = [
$(cd "$stage/debug" && find . -name '*.debug' -printf '%P\n' | LC_ALL=C sort |
        sed 's|.*|    { source = "target/rpm/debug/&", dest = "/usr/lib/debug/.build-id/&", mode = "644" },|')
]
[requires]
"$name($isa)" = "= $version-$release"
END
    generate_rpm "$stage/" --auto-req find-requires "$@" --metadata-overwrite "$stage/$name.toml"
    generate_rpm "$stage/" --auto-req disabled --metadata-overwrite "$stage/debuginfo.toml"
}

generate_rpm() {
    local output=$1
    shift
    (cd "$top" && target/tools/bin/cargo-generate-rpm --package src/module --arch "$machine" --output "$output" "$@")
}
