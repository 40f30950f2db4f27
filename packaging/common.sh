# shellcheck shell=bash
# What the scripts of this project share: saying things, and getting what they need from apt.
# Sourced with `top` set to the folder of the project.
: "${top:?}"

# What compiling takes: a linker, httpd's headers, the library that bindgen reads them with.
export BUILD_PACKAGES="gcc libc6-dev make apache2-dev libclang-dev python3"
# What making the package takes besides.
export DEB_PACKAGES="dpkg-dev binutils xz-utils gzip"

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

# cargo_tool CRATE VERSION [CARGO-ARGUMENT...]: puts a cargo subcommand into target/tools/bin, once.
cargo_tool() {
    local crate=$1 version=$2
    shift 2
    "$top/target/tools/bin/$crate" --version 2>/dev/null | grep -qwF "$version" && return
    say "Installing $crate $version into target/tools"
    mkdir -p "$top/target/tools"
    # From a folder of its own: the project's configuration and lock file are not the tool's.
    (cd "$top/target/tools" && cargo install --quiet --locked --root . --target-dir build "$@" "$crate@$version") || return 1
    rm -rf "$top/target/tools/build"
}
