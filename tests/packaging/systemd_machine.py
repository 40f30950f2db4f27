"""A small Debian that systemd has booted, as its first process: services run as they do on a server.

The unified hierarchy of control groups, whole or beside the old ones, lends it a group of its own, with whatever controllers
that has. The kernel is this machine's: what would set it (sysctl, modules, the clock, its log) is out of reach inside.
"""

import os
import shutil
import time
from pathlib import Path

from machine import OTHER, PREPARE, Machine, MachineError
from machine import why_not as why_no_machine

# $4 a control group, $5 BOOT. The namespaces come after the group, which becomes the root of what is seen inside.
JOIN = """
echo 0 >"$4/cgroup.procs"
exec unshare --cgroup --uts --ipc sh -c "$5" boot "$root"
"""

# $1 root, where /proc is mounted.
BOOT = """
set -e
# Only this kernel's processes are to be changed through it, not its settings.
for kernel in sys sysrq-trigger; do
    [ -e "$1/proc/$kernel" ] || continue
    mount --bind "$1/proc/$kernel" "$1/proc/$kernel"
    mount -o remount,bind,ro "$1/proc/$kernel"
done
# Without this systemd would mount devtmpfs, of which the kernel has only one.
mount -t tmpfs -o mode=755,nosuid tmpfs "$1/dev"
mknod -m 666 "$1/dev/null" c 1 3
mknod -m 666 "$1/dev/zero" c 1 5
mknod -m 666 "$1/dev/full" c 1 7
mknod -m 666 "$1/dev/random" c 1 8
mknod -m 666 "$1/dev/urandom" c 1 9
mknod -m 666 "$1/dev/tty" c 5 0
ln -s pts/ptmx "$1/dev/ptmx"
mkdir "$1/dev/pts" "$1/dev/shm"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$1/sys"
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$1/sys/fs/cgroup"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$1/run"
mkdir "$1/run/before"
cd "$1"
pivot_root . run/before
hostname machine
umount -l run/before
rmdir run/before
echo started
exec env -i container=other PATH="$PATH" setpriv --bounding-set=-sys_module,-sys_time,-sys_rawio,-syslog \\
    /lib/systemd/systemd --log-target=journal --unit=multi-user.target </dev/null >/dev/null 2>&1
"""

# Units that have nothing to do here, or would reach for the kernel's own file systems and the network.
MASKED = """
apt-daily-upgrade.timer apt-daily.timer console-getty.service dev-hugepages.mount dev-mqueue.mount getty.target
proc-sys-fs-binfmt_misc.automount sys-fs-fuse-connections.mount sys-kernel-debug.mount sys-kernel-tracing.mount
systemd-binfmt.service systemd-modules-load.service systemd-sysctl.service systemd-tmpfiles-setup-dev.service
"""


def hierarchy():
    """Return where the unified hierarchy of control groups is mounted, or None."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(point)
    return None


def why_not():
    """Return why systemd cannot be booted here, or None."""
    if reason := why_no_machine():
        return reason
    if OTHER:
        return "systemd has not been tried in an emulator"
    for tool in ("setpriv", "pivot_root"):
        if not shutil.which(tool):
            return f"needs {tool}"
    top = hierarchy()
    if not top:
        return "needs the unified hierarchy of control groups (cgroup2)"
    return None if os.access(top, os.W_OK) else f"needs to make control groups in {top}"


def prepare(debian):
    """Make systemd the init of a Debian that is not running it yet."""
    debian.apt("install", "systemd", "systemd-sysv")
    debian.run("systemd-machine-id-setup && rm -f /var/lib/dbus/machine-id")
    debian.run(f"systemctl mask {' '.join(MASKED.split())}")
    debian.put("/etc/systemd/journald.conf.d/machine.conf", "[Journal]\nReadKMsg=no\nAudit=no\nStorage=volatile\nRateLimitBurst=0\n")


class SystemdMachine(Machine):
    """A machine that has booted. `root` was prepared."""

    start = PREPARE + JOIN

    def __init__(self, root, suite):
        self.group = hierarchy() / f"mod_wsgi-{os.getpid()}-{time.monotonic_ns()}"
        self.group.mkdir()
        self.more_arguments = (str(self.group), BOOT)
        try:
            super().__init__(root, suite)
        except BaseException:
            self.remove_group()
            raise
        # What was the root's folder has become the root.
        self.root = "/"
        try:
            self.wait_for_the_boot()
        except BaseException:
            self.stop()
            raise

    def wait_for_the_boot(self):
        """Wait until every unit has started, or has failed."""
        deadline = time.monotonic() + 60
        state = ""
        while state not in ("running", "degraded"):
            if time.monotonic() > deadline:
                raise MachineError(f"systemd is still {state!r}:\n{self.run('systemctl list-jobs; journalctl -n 50', check=False)}")
            time.sleep(0.1)
            state = self.run("systemctl is-system-running 2>/dev/null", check=False).strip()
        if state == "degraded":
            raise MachineError(self.run("systemctl --failed; journalctl -p warning", check=False))

    def stop(self):
        """End every process of the machine and forget what it wrote."""
        super().stop()
        self.remove_group()

    def remove_group(self):
        """Remove the control group, as soon as the kernel has buried who was in it."""
        for _ in range(100):
            try:
                for folder, _, _ in os.walk(self.group, topdown=False):
                    os.rmdir(folder)
                return
            except OSError:
                time.sleep(0.1)
        raise MachineError(f"{self.group} is still in use")

    def unit(self, property, unit="apache2.service"):
        """Return a property of a unit."""
        return self.run(f"systemctl show --value --property={property} {unit}").strip()

    def journal(self, *options, unit="apache2.service"):
        """Return the lines that systemd and the unit's processes wrote about it."""
        return self.run(f"journalctl --no-pager --output=cat --unit={unit} {' '.join(options)}").splitlines()

    def processes(self, unit="apache2.service"):
        """Return {pid: command line} of what is in a unit's control group."""
        group = self.unit("ControlGroup", unit)
        listed = self.run(
            'for pid in $(cat "/sys/fs/cgroup$1/cgroup.procs" 2>/dev/null); do'
            ' echo "$pid $(cat /proc/$pid/cmdline 2>/dev/null | tr "\\\\0" " ")"; done', group or "/none",
        )
        found = (line.partition(" ") for line in listed.splitlines())
        return {int(pid): command.strip() for pid, _, command in found}
