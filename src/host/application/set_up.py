# What is done in each new interpreter before any application is loaded. Runs once, with the names that set_up.rs gives.

import os
import sys

if is_main:
    import threading  # so that threading takes this thread for the main one

CRIT, ERROR, WARNING, INFO, DEBUG = 2, 3, 4, 6, 7


class Restricted(object):
    """Stands for a stream that applications must not use."""

    __module__ = "mod_wsgi"
    __slots__ = ("_text",)

    def __init__(self, stream):
        object.__setattr__(self, "_text", "%s access restricted by mod_wsgi" % stream)

    def __getattribute__(self, name, is_finalizing=sys.is_finalizing):
        if name == "flush" and is_finalizing():
            # Python's own, at its end.
            return lambda: None
        raise OSError(object.__getattribute__(self, "_text"))


class SignalIntercept(object):
    """Stands for signal.signal: signals of this process belong to mod_wsgi. A process the application forked is its own."""

    __module__ = "mod_wsgi"
    __slots__ = ("_original", "_process")

    def __init__(self, original):
        self._original = original
        self._process = os.getpid()

    def __call__(self, signalnum, handler):
        if os.getpid() != self._process:
            return self._original(signalnum, handler)
        import traceback
        report(INFO, "WSGI7011: the application wants to handle signal %d, which WSGIRestrictSignal does not allow; "
               "the handler is not installed" % signalnum)
        report(INFO, "".join(traceback.format_stack()))
        return handler


def report_exception(text):
    import traceback
    report(ERROR, text)
    report(ERROR, traceback.format_exc())


def install_module():
    """Puts the module where import finds it; a package of that name keeps its submodules."""
    try:
        import mod_wsgi as package
    except ModuleNotFoundError:
        pass
    except BaseException:
        report_exception("WSGI0188: importing the installed package mod_wsgi failed")
    else:
        if package is not module and hasattr(package, "__path__"):
            module.__path__ = package.__path__
    sys.modules["mod_wsgi"] = module


def log_handler():
    """The class for applications that log with Python's logging: the records become Apache's."""
    import logging

    class LogHandler(logging.Handler):
        def emit(self, record):
            number = record.levelno
            level = (CRIT if number >= 50 else ERROR if number >= 40 else WARNING if number >= 30
                     else INFO if number >= 20 else DEBUG)
            if level > least_level():
                return
            try:
                text = self.format(record)
            except Exception:
                self.handleError(record)
            else:
                write_record(level, text, record.pathname, record.lineno)

    LogHandler.__module__, LogHandler.__qualname__ = "mod_wsgi", "LogHandler"
    return LogHandler


def install_apache():
    """Makes the module apache. In Apache's children one that the application brings along gets the members instead."""
    apache = None
    if not is_daemon:
        try:
            import apache
        except ModuleNotFoundError as error:
            if error.name != "apache":
                report_exception("WSGI0188: importing the installed module apache failed")
        except BaseException:
            report_exception("WSGI0188: importing the installed module apache failed")
        else:
            report(INFO, "WSGI7043: there is a module apache (%s), which gets the members of ours"
                   % getattr(apache, "__file__", "built in"))
    if apache is None:
        apache = type(sys)("apache")
        sys.modules["apache"] = apache
    for name, value in apache_members.items():
        setattr(apache, name, value)


def replace_streams():
    sys.stderr = stderr
    sys.stdout = Restricted("sys.stdout") if restrict_stdout else stdout
    if restrict_stdin:
        sys.stdin = Restricted("sys.stdin")


def set_environment():
    if is_daemon:
        import pwd
        try:
            user = pwd.getpwuid(os.getuid())
        except KeyError:
            pass  # a process may run under a number that has no name
        else:
            for name in ("USER", "USERNAME", "LOGNAME"):
                if name in os.environ:
                    os.environ[name] = user.pw_name
            os.environ["HOME"] = user.pw_dir
    if python_eggs is not None:
        os.environ["PYTHON_EGG_CACHE"] = python_eggs


def extend_path():
    # Each layer comes to the front of the one before.
    for layer in filter(None, python_paths):
        import site
        before = list(sys.path)
        for entry in layer:
            try:
                site.addsitedir(entry)
            except BaseException:
                report_exception("WSGI0091: adding %r to sys.path failed" % entry)
        known = set(before)
        added = [entry for entry in sys.path if entry not in known]
        sys.path[:] = added + [entry for entry in sys.path if entry in known]
    if home is not None:
        sys.path.insert(0, home)


# The folder of the start script comes back in sub-interpreters, and holds a mod_wsgi.so that is not for Python.
if is_daemon and host_directory is not None:
    sys.path[:] = [entry for entry in sys.path if entry != host_directory]
if switch_interval is not None:
    sys.setswitchinterval(switch_interval)
install_module()
module.LogHandler = log_handler()
replace_streams()
sys.argv = ["mod_wsgi"]
if is_service:
    # The script runs in the main thread, and ends when it is told to.
    import signal

    def end(signum, frame):
        raise SystemExit

    if is_main:
        signal.signal(signal.SIGTERM, end)
elif restrict_signal:
    import signal
    signal.signal = SignalIntercept(signal.signal)
set_environment()
extend_path()
install_apache()
