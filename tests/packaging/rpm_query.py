"""Questions to an .rpm file."""

import stat
import subprocess

NAME = "python3-mod_wsgi"
OPENSUSE_NAME = "apache2-mod_wsgi"
HOSTS = {
    *(f"/usr/lib64/mod_wsgi/mod_wsgi_host.cpython-{version}.so" for version in ("310", "311", "312", "313", "314", "314t")),
    "/usr/lib64/mod_wsgi/mod_wsgi_daemon.py",
}


def documents(name, folder):
    """Return the files that explain a package, in its distribution's folder for documentation."""
    return {f"{folder}/{name}/CHANGELOG.md", f"{folder}/{name}/README.md",
            f"/usr/share/licenses/{name}/LICENSE", f"/usr/share/licenses/{name}/LICENSE.crates",
            "/usr/share/man/man5/mod_wsgi.conf.5.gz", "/usr/share/man/man8/mod_wsgi.8.gz"}


FILES = {
    "/etc/httpd/conf.modules.d/10-wsgi-python3.conf",
    "/usr/lib64/httpd/modules/mod_wsgi_python3.so",
    *HOSTS, *documents(NAME, "/usr/share/doc"),
}
OPENSUSE_FILES = {"/usr/lib64/apache2/mod_wsgi.so", *HOSTS, *documents(OPENSUSE_NAME, "/usr/share/doc/packages")}


def query(rpm, *arguments):
    """Return the lines that `rpm --query` prints of a file."""
    done = subprocess.run(["rpm", "--query", "--package", rpm, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def files(rpm):
    """Return {path: (mode, owner)} of the files and links in it."""
    rows = [line.split() for line in query(rpm, "--qf", "[%{FILENAMES} %{FILEMODES:octal} %{FILEUSERNAME}/%{FILEGROUPNAME}\n]")]
    return {path: (stat.S_IMODE(int(mode, 8)), owner) for path, mode, owner in rows if not stat.S_ISDIR(int(mode, 8))}


def relations(rpm, kind):
    """Return what it `requires`, `provides`, `obsoletes` or `conflicts`, but for what is about the format of the file."""
    return {line for line in query(rpm, f"--{kind}") if not line.startswith("rpmlib(")}
