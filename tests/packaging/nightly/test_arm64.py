"""What packaging/cross-check makes for Linux on arm64 serves in both modes, in Debian's arm64 and an emulator of its processor."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[3]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", TOP / "target/cache")) / "mod_wsgi"
MADE = TOP / "target/cross/build/aarch64-unknown-linux-gnu/made"
EMULATOR = "/usr/bin/qemu-aarch64-static"
MISSING = [tool for tool in ("mmdebstrap", "unshare", "cargo", "curl", "ip", EMULATOR) if not shutil.which(tool)]

FILES = {
    "etc/passwd": "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\ngames:x:5:60::/srv:/bin/false\n",
    "etc/group": "root:x:0:\nwww-data:x:33:\ngames:x:60:\n",
    "srv/app.wsgi": """\
import os, platform, mod_wsgi
def application(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield f"{mod_wsgi.process_group}|{platform.machine()}|{os.getuid()}|".encode()
    yield body
""",
    "srv/httpd.conf": """\
ServerRoot "/srv"
DefaultRuntimeDir "/run"
PidFile "/run/httpd.pid"
ServerName localhost
Listen 127.0.0.1:80
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule wsgi_module /opt/mod_wsgi/mod_wsgi.so
User www-data
Group www-data
ErrorLog "/run/error_log"
WSGIDaemonProcess app user=games threads=3
WSGIScriptAlias /embedded /srv/app.wsgi application-group=%{GLOBAL}
WSGIScriptAlias /daemon /srv/app.wsgi process-group=app application-group=%{GLOBAL}
<Directory /srv>
    Require all granted
</Directory>
""",
}

# In namespaces of its own: the root is not changed, the network is a loopback, and every process ends with the shell. What the
# kernel knows of the emulator is the whole machine's, so it is taken back.
INSIDE = r"""
set -e
root=$1 place=$2 emulator=$3
known=/proc/sys/fs/binfmt_misc
mount -t binfmt_misc binfmt_misc $known
trap 'echo -1 >$known/mod_wsgi-arm64' EXIT
printf '%s' ':mod_wsgi-arm64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:'"$emulator"':F' >$known/register
mount -t tmpfs tmpfs "$place/run"
mkdir "$place/run/upper" "$place/run/work" "$place/run/merged"
mount -t overlay overlay -o "lowerdir=$place/files:$root,upperdir=$place/run/upper,workdir=$place/run/work" "$place/run/merged"
mount -t proc proc "$place/run/merged/proc"
mount --bind /dev "$place/run/merged/dev"
ip link set lo up
chroot "$place/run/merged" /usr/sbin/apache2 -f /srv/httpd.conf
for mode in embedded daemon; do
    curl --silent --show-error --max-time 60 --retry 3 --retry-connrefused --retry-delay 1 --data-binary "@$place/body" "http://127.0.0.1/$mode" >"$place/$mode" ||
        true
done
cat "$place/run/merged/run/error_log"
kill "$(cat "$place/run/merged/run/httpd.pid")"
for _ in $(seq 100); do [ -e "$place/run/merged/run/httpd.pid" ] || break; sleep 0.1; done
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to go into another Debian")
@pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")
def test_it_serves_in_both_modes(tmp_path):
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONS"}
    subprocess.run([TOP / "packaging/cross-check", "aarch64-unknown-linux-gnu"], env={**ours, "PYTHONS": "3.11"}, check=True, capture_output=True)
    root = max(CACHE.glob("arm64-*"), key=lambda path: path.stat().st_mtime)
    for name, text in FILES.items():
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    shutil.copytree(MADE, tmp_path / "files/opt/mod_wsgi")
    # Of a bare folder, in which no package was set up.
    for name in ("proc", "dev", "run"):
        (tmp_path / "files" / name).mkdir(exist_ok=True)
    (tmp_path / "run").mkdir()
    body = os.urandom(300_000)
    (tmp_path / "body").write_bytes(body)
    done = subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", INSIDE, "sh", root, tmp_path, EMULATOR],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "embedded").read_bytes() == b"|aarch64|33|" + body, done.stdout
    assert (tmp_path / "daemon").read_bytes() == b"app|aarch64|5|" + body, done.stdout
