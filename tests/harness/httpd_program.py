"""Finds httpd and its modules on this machine."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

MODULE_FOLDERS = ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules")


@cache
def program() -> str:
    """WSGI_TEST_HTTPD, else apache2 (Debian), else httpd."""
    search = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    names = [os.environ["WSGI_TEST_HTTPD"]] if "WSGI_TEST_HTTPD" in os.environ else ["apache2", "httpd"]
    for name in names:
        if found := shutil.which(name, path=search):
            return found
    raise RuntimeError(f"no httpd found: looked for {' and '.join(names)} in {search}")


@cache
def module_folder() -> Path:
    folders = [os.environ["WSGI_TEST_HTTPD_MODULES"]] if "WSGI_TEST_HTTPD_MODULES" in os.environ else MODULE_FOLDERS
    for folder in map(Path, folders):
        if (folder / "mod_mpm_event.so").exists():
            return folder
    raise RuntimeError(f"no httpd modules found in {', '.join(map(str, folders))}; set WSGI_TEST_HTTPD_MODULES")


@cache
def compiled_in() -> str:
    return subprocess.run([program(), "-l"], capture_output=True, text=True, check=True).stdout


def load_modules(*names: str) -> str:
    """LoadModule lines, leaving out what this httpd has compiled in."""
    return "\n".join(f"LoadModule {name}_module {module_folder()}/mod_{name}.so"
                     for name in names if f"mod_{name}.c" not in compiled_in())
