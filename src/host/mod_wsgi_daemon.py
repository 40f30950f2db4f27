"""Makes this python3 a daemon process of mod_wsgi. Started by Apache; has to parse under every Python there is."""

import sys


def serve():
    import os

    place = os.path.dirname(os.path.abspath(__file__))

    def fail(text):
        import struct
        text = text.encode("utf-8", "replace")
        # The envelope of a failure message on the control socket, see src/core/launch.rs.
        try:
            os.write(3, b"f" + struct.pack("<I", len(text)) + text)
        except OSError:
            sys.stderr.write("mod_wsgi_daemon.py is started by Apache, not by hand\n")
        os._exit(78)

    version = "%d.%d" % sys.version_info[:2]
    known = getattr(getattr(sys, "implementation", None), "name", "cpython") == "cpython"
    if not known or not (3, 10) <= sys.version_info[:2] <= (3, 14):
        name = "Python" if known else sys.implementation.name
        fail("WSGI7001: %s %s (%s) is not supported: mod_wsgi hosts CPython 3.10 to 3.14" % (name, version, sys.executable))
    free_threaded = "t" if "t" in sys.abiflags else ""
    host = os.path.join(place, "mod_wsgi_host.cpython-%d%d%s.so" % (sys.version_info[0], sys.version_info[1], free_threaded))
    if not os.path.exists(host):
        fail("WSGI7001: Python %s%s (%s) is not supported by this installation of mod_wsgi: there is no %s"
             % (version, free_threaded, sys.executable, host))
    try:
        from importlib.machinery import ExtensionFileLoader
        from importlib.util import module_from_spec, spec_from_loader
        loader = ExtensionFileLoader("mod_wsgi_host", host)
        module = module_from_spec(spec_from_loader("mod_wsgi_host", loader))
        loader.exec_module(module)
    except Exception as error:
        fail("WSGI7001: Python %s (%s) cannot load %s: %s" % (version, sys.executable, host, error))

    # Applications find nothing of this script: neither its folder, nor a main module that multiprocessing would run again.
    sys.path[:] = [entry for entry in sys.path if entry != place]
    sys.argv = ["mod_wsgi"]
    main = sys.modules["__main__"]
    main.__spec__ = None
    for name in ("__file__", "__cached__", "serve", "sys"):
        main.__dict__.pop(name, None)
    main.__doc__ = None
    return module.serve()


raise SystemExit(serve())
