"""An application that uses numpy, cryptography and lxml, whose C and Rust code wants the main interpreter."""

import json
from concurrent.futures import ThreadPoolExecutor

from harness.programs import virtualenv_or_skip

APPLICATION = """
    import json
    import threading

    import lxml.etree
    import numpy
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives import hashes

    key = Fernet(Fernet.generate_key())

    def application(environ, start_response):
        size = int(environ["QUERY_STRING"] or 10)
        matrix = numpy.arange(size * size, dtype=float).reshape(size, size)
        digest = hashes.Hash(hashes.SHA256())
        digest.update(b"abc")
        document = lxml.etree.fromstring(b"<root><item n='1'/><item n='2'/></root>")
        result = {
            "trace": float(numpy.trace(matrix @ numpy.eye(size))),
            "digest": digest.finalize().hex(),
            "secret": key.decrypt(key.encrypt(b"a secret")).decode(),
            "items": document.xpath("//item/@n"),
            "group": environ["mod_wsgi.application_group"],
        }
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(result).encode()]
"""
EXPECTED = {"digest": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "secret": "a secret", "items": ["1", "2"],
            "group": ""}


class TestExtensionModules:
    mpms = ("event",)

    @classmethod
    def configure(cls, site):
        virtualenv = virtualenv_or_skip("numpy>=1.26,<3", "cryptography>=42", "lxml>=5")
        script = site.write("modules.wsgi", APPLICATION)
        if site.embedded:
            site.add(f"WSGIPythonHome {virtualenv}")
        site.add(site.daemon("modules", f"python-home={virtualenv} threads=5"), "WSGIApplicationGroup %{GLOBAL}",
                 f"WSGIScriptAlias / {script}")

    def test_they_work(self, server):
        answer = json.loads(server.get("/?10").body)
        assert answer == EXPECTED | {"trace": 495.0}

    def test_they_work_in_many_threads_at_once(self, server):
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: json.loads(server.get("/?60").body), range(64)))
        assert all(answer == EXPECTED | {"trace": sum(61.0 * n for n in range(60))} for answer in answers)
