# shellcheck shell=bash
# What the scripts of this project share: saying things, and getting what they need from apt.
# Sourced with `top` set to the folder of the project.
: "${top:?}"

# What compiling takes: a linker, httpd's headers, the library that bindgen reads them with.
export BUILD_PACKAGES="gcc libc6-dev make apache2-dev libclang-dev python3"
# What making the packages takes besides, under Debian's names.
export DEB_PACKAGES="dpkg-dev binutils xz-utils gzip"
export RPM_PACKAGES="rpm binutils gzip"
export SOURCE_PACKAGES="git xz-utils gzip python3"

# Every CPython there is a host for; a "t" at the end is the free-threaded build.
export ALL_PYTHONS="3.10 3.11 3.12 3.13 3.14 3.14t"

# What is packed, and with what: what packaging/compile has made on this machine. packaging/build --arch changes all of it.
compiled=$top/target/mod_wsgi
unstripped=$top/target/unstripped
# shellcheck disable=SC2034 # of those who source this
machine=$(uname -m)
binutils=''

say() { printf '%s\n' "$*"; }
step() { printf '\n==> %s\n' "$*"; }
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Fails unless cargo and a rustc that is new enough are there.
need_rust() {
    local wanted have
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$top/Cargo.toml" | head -n 1)
    command -v cargo >/dev/null || die "cargo is not in PATH. Install Rust $wanted or newer, for instance with rustup."
    have=$(rustc --version | cut -d' ' -f2)
    printf '%s\n%s\n' "$wanted" "${have%%-*}" | sort -VC || die "rustc $have is too old, Rust $wanted or newer is needed."
}

# The packages among the arguments that are not installed.
missing_packages() {
    local package
    for package; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || printf '%s\n' "$package"
    done
}

# Tells whether commands can run as root, asking for sudo's password at most once.
can_be_root() {
    [ "$(id -u)" = 0 ] && return
    command -v sudo >/dev/null || return 1
    sudo -n true 2>/dev/null && return
    [ -t 0 ] || return 1
    say "Some steps need root."
    sudo -v || return 1
    # sudo forgets after some minutes, and a build takes longer.
    (while sleep 60 && kill -0 "$$" 2>/dev/null; do sudo -n -v || exit; done) &
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# apt_need WHY PACKAGE...: installs what is missing, without what it recommends; fails with the line to type instead.
apt_need() {
    local why=$1 missing
    shift
    command -v apt-get >/dev/null || die "this needs Debian's apt-get; on other systems install by hand: $*"
    mapfile -t missing < <(missing_packages "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0
    say "Installing with apt, $why: ${missing[*]}"
    can_be_root || die "not root, and sudo is not to be had. Run first: apt-get install --no-install-recommends ${missing[*]}"
    apt_run update
    apt_run install --no-install-recommends "${missing[@]}"
}

# apt_run ARGUMENT...: apt-get without questions; what it prints is shown only when it fails.
apt_run() {
    local log
    log=$(mktemp)
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 \
        -o Dpkg::Options::=--force-confold "$@" </dev/null >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        die "apt-get $* failed"
    fi
    rm -f "$log"
}

# system_need WHY PACKAGE...: the same by Debian's names, on Fedora, its relatives and openSUSE too.
system_need() {
    local why=$1 name missing=()
    shift
    if command -v apt-get >/dev/null; then
        apt_need "$why" "$@"
        return
    fi
    local install=(dnf -y -q --setopt=install_weak_deps=0 install)
    if command -v zypper >/dev/null; then
        install=(zypper --quiet --non-interactive install --no-recommends)
    elif ! command -v dnf >/dev/null; then
        die "this knows apt, dnf and zypper only; on other systems install by hand what Debian calls: $*"
    fi
    for name; do
        name=$(rpm_name "$name")
        rpm -q --quiet --whatprovides "$name" || missing+=("$name")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    say "Installing with ${install[0]}, $why: ${missing[*]}"
    can_be_root || die "not root, and sudo is not to be had. Run first: ${install[0]} install ${missing[*]}"
    as_root "${install[@]}" "${missing[@]}"
}

# What a package of Debian is called there; openSUSE's zypper finds Fedora's names but for one.
rpm_name() {
    case $1 in
        apache2-dev) if command -v zypper >/dev/null; then say apache2-devel; else say httpd-devel; fi ;;
        libc6-dev) say glibc-devel ;;
        libclang-dev) say clang-devel ;;
        rpm) say rpm-build ;;
        xz-utils) say xz ;;
        dpkg-dev) say dpkg ;;
        *) say "$1" ;;
    esac
}

# python_config PYTHON: what pyo3 would ask a Python of that version; a "t" at the end is the free-threaded build.
python_config() {
    printf 'implementation=CPython\nversion=%s\nshared=true\npointer_width=64\n' "${1%t}"
    printf 'suppress_build_script_link_lines=true\n'
    case $1 in *t) printf 'build_flags=Py_GIL_DISABLED\n' ;; esac
}

# Hardens the little C there is as a distribution would. What the distribution itself says comes after, and counts.
harden() {
    local flags="-fstack-protector-strong -D_FORTIFY_SOURCE=2"
    # Apple's compiler would warn that it does not know this one.
    [ "$(uname -s)" = Darwin ] || flags+=" -fstack-clash-protection"
    export CFLAGS="$flags ${CFLAGS:-}"
}

# remap FOLDER NAME: the same bytes wherever this is built: no library names that folder of sources.
remap() {
    export RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$1=$2" CFLAGS="${CFLAGS:-} -ffile-prefix-map=$1=$2"
}

# The version in Cargo.toml, which every other file follows.
crate_version() { sed -n 's/^version = "\(.*\)"/\1/p' "$top/Cargo.toml" | head -n 1; }

# stage_files FOLDER: what every package holds, stripped and compressed, in a new folder.
stage_files() {
    local stage=$1
    rm -rf "$stage"
    mkdir -p "$stage/hosts"
    cp "$compiled/mod_wsgi.so" "$stage/"
    cp "$compiled"/mod_wsgi_host.*.so "$compiled/mod_wsgi_daemon.py" "$stage/hosts/"
    "${binutils}strip" --strip-unneeded --remove-section=.comment --remove-section=.note "$stage"/*.so "$stage"/hosts/*.so
    gzip -9n <"$top/docs/man/mod_wsgi.8" >"$stage/mod_wsgi.8.gz"
    "$top/packaging/man" | gzip -9n >"$stage/mod_wsgi.conf.5.gz"
}

# debug_files FOLDER: the debug information of every library as gdb looks for it, AA/BBBB.debug by build id.
debug_files() {
    local folder=$1 library id
    for library in "$unstripped"/*.so; do
        # A build id tells whether the two are of one build.
        id=$(build_id "$library")
        [ "${id:-none}" = "$(build_id "$compiled/${library##*/}")" ] ||
            die "${library#"$top/"} does not belong to ${compiled#"$top/"}, run packaging/compile"
        mkdir -p "$folder/${id:0:2}"
        "${binutils}objcopy" --only-keep-debug --compress-debug-sections "$library" "$folder/${id:0:2}/${id:2}.debug"
        chmod 644 "$folder/${id:0:2}/${id:2}.debug"
    done
}

build_id() { LC_ALL=C readelf --notes "$1" | sed -n 's/.*Build ID: //p'; }

# write_sums FOLDER: SHA256SUMS of the packages and sources in it.
write_sums() {
    rm -f "$1/SHA256SUMS"
    (cd "$1" && find . -maxdepth 1 -type f ! -name .sums -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum) >"$1/.sums"
    mv "$1/.sums" "$1/SHA256SUMS"
}

# cargo_tool CRATE VERSION [CARGO-ARGUMENT...]: puts a cargo subcommand into target/tools/bin, once.
cargo_tool() {
    local crate=$1 version=$2
    shift 2
    # What cargo itself has written down: not every tool tells its version.
    grep -qsF "\"$crate $version " "$top/target/tools/.crates.toml" && return
    say "Installing $crate $version into target/tools"
    mkdir -p "$top/target/tools"
    # From a folder of its own: the project's configuration and lock file are not the tool's. Nobody debugs it.
    (cd "$top/target/tools" && CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --root . --target-dir build "$@" "$crate@$version") || return 1
    rm -rf "$top/target/tools/build"
}
