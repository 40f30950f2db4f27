"""Applications that use numpy, cryptography and lxml, whose C and Rust code wants the main interpreter."""

import csv
import json
import statistics
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.programs import session, virtualenv_or_skip

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

LABORATORY = """
    import io
    import json
    import os
    import urllib.parse
    from http.cookies import SimpleCookie

    import lxml.etree
    import numpy
    from cryptography.fernet import Fernet, InvalidToken

    FOLDER = os.path.join(os.path.dirname(__file__), "measurements")
    key = Fernet(b"b25seSBmb3IgdGhpcyB0ZXN0LCBub3Qgc2VjcmV0ISE=")

    class Refusal(Exception):
        pass

    def user_of(environ):
        cookie = SimpleCookie(environ.get("HTTP_COOKIE", "")).get("user")
        if cookie is None:
            raise Refusal("403 Forbidden", "log in first")
        try:
            return key.decrypt(cookie.value.encode()).decode()
        except InvalidToken:
            raise Refusal("403 Forbidden", "a forged cookie") from None

    def log_in(environ):
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        form = {name: values[0] for name, values in urllib.parse.parse_qs(body.decode()).items()}
        if form["password"] != "s\\u00e9same":
            raise Refusal("401 Unauthorized", "wrong password")
        cookie = key.encrypt(form["user"].encode()).decode()
        return "text/plain", [("Set-Cookie", f"user={cookie}; HttpOnly; Path=/")], [b"welcome"]

    def measurements(user):
        try:
            return numpy.load(f"{FOLDER}/{user}.npy")
        except FileNotFoundError:
            raise Refusal("404 Not Found", "no measurements") from None

    def upload(environ):
        user = user_of(environ)
        try:
            if environ["CONTENT_TYPE"] == "text/csv":
                table = numpy.loadtxt(environ["wsgi.input"], delimiter=",", ndmin=2)
            else:
                rows = lxml.etree.parse(environ["wsgi.input"]).getroot()
                table = numpy.array([[float(cell.text) for cell in row] for row in rows])
        except (ValueError, lxml.etree.XMLSyntaxError) as error:
            raise Refusal("400 Bad Request", f"malformed: {error}") from error
        numpy.save(f"{FOLDER}/{user}.npy", table)
        return "application/json", [], [json.dumps(table.shape).encode()]

    def result(environ):
        table = measurements(user_of(environ))
        file = io.BytesIO()
        numpy.savetxt(file, [table.mean(axis=0), table.std(axis=0)], delimiter=",")
        length = file.tell()
        file.seek(0)
        headers = [("Content-Disposition", "attachment; filename=result.csv"), ("Content-Length", str(length))]
        return "text/csv", headers, environ["wsgi.file_wrapper"](file)

    def stream(environ):
        def parts(table):
            yield b"<table>"
            for numbers in table:
                row = lxml.etree.Element("row")
                for number in numbers:
                    lxml.etree.SubElement(row, "cell").text = str(float(number))
                yield lxml.etree.tostring(row)
            yield b"</table>"
        return "text/xml", [], parts(measurements(user_of(environ)))

    def fail(environ):
        numpy.linalg.inv(numpy.zeros((2, 2)))

    PAGES = {("POST", "/login"): log_in, ("POST", "/table"): upload, ("GET", "/table"): stream, ("GET", "/result"): result,
             ("GET", "/fail"): fail}

    def application(environ, start_response):
        try:
            page = PAGES.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
            if page is None:
                raise Refusal("404 Not Found", "no such page")
            kind, headers, body = page(environ)
        except Refusal as refusal:
            status, text = refusal.args
            start_response(status, [("Content-Type", "text/plain")])
            return [text.encode()]
        start_response("200 OK", [("Content-Type", kind), *headers])
        return body
"""
ROWS = [[float(number), number / 4, -number % 7 * 1e6] for number in range(5000)]
AS_CSV = "".join(",".join(map(str, row)) + "\n" for row in ROWS).encode()
AS_XML = b"<table>" + b"".join(
    b"<row>" + b"".join(b"<cell>%a</cell>" % number for number in row) + b"</row>" for row in ROWS) + b"</table>"


def virtualenv_of_extension_modules() -> Path:
    return virtualenv_or_skip("numpy>=1.26,<3", "cryptography>=42", "lxml>=5")


class TestExtensionModules:
    mpms = ("event",)

    @classmethod
    def configure(cls, site):
        virtualenv = virtualenv_of_extension_modules()
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


class TestSessionWithExtensionModules:
    mpms = ("event",)

    @classmethod
    def configure(cls, site):
        virtualenv = virtualenv_of_extension_modules()
        script = site.write("laboratory.wsgi", LABORATORY)
        site.path("measurements").mkdir()
        site.path("measurements").chmod(0o777)
        if site.embedded:
            site.add(f"WSGIPythonHome {virtualenv}")
        site.add(site.daemon("laboratory", f"python-home={virtualenv} threads=5"), "WSGIApplicationGroup %{GLOBAL}",
                 "WSGIChunkedRequest On", f"WSGIScriptAlias /lab {script}")

    @staticmethod
    def logged_in(server, user: str):
        browser = session(server)
        assert browser.form("/lab/login", user=user, password="sésame").text == "welcome"
        return browser

    @staticmethod
    def upload(browser, body, kind: str):
        return browser.request("POST", "/lab/table", body, {"Content-Type": kind})

    def test_a_user_logs_in_with_an_encrypted_cookie(self, server):
        browser = session(server)
        assert browser.get("/lab/table").text == "log in first"
        assert browser.form("/lab/login", user="ann", password="wrong").status == 401
        assert browser.get("/lab/table").status == 403
        browser = self.logged_in(server, "new")
        answer = browser.get("/lab/table")
        assert (answer.status, answer.text) == (404, "no measurements")
        forged = browser.cookies["user"].value[:-8] + "AAAAAAA="
        answer = server.get("/lab/table", {"Cookie": f"user={forged}"})
        assert (answer.status, answer.text) == (403, "a forged cookie")

    @pytest.mark.parametrize("body, kind", [(AS_CSV, "text/csv"), (AS_XML, "text/xml")], ids=["csv", "xml"])
    def test_a_table_is_uploaded_computed_with_and_downloaded(self, server, body, kind):
        browser = self.logged_in(server, "ann")
        assert json.loads(self.upload(browser, body, kind).body) == [5000, 3]
        answer = browser.get("/lab/result")
        assert answer.headers["Content-Disposition"] == "attachment; filename=result.csv"
        assert answer.headers["Content-Length"] == str(len(answer.body))
        means, deviations = ([float(number) for number in line] for line in csv.reader(answer.text.splitlines()))
        columns = list(zip(*ROWS))
        assert means == pytest.approx([statistics.fmean(column) for column in columns])
        assert deviations == pytest.approx([statistics.pstdev(column) for column in columns])

    def test_a_table_is_uploaded_in_chunks_and_streamed(self, server):
        browser = self.logged_in(server, "bob")
        pieces = (AS_XML[start:start + 1000] for start in range(0, len(AS_XML), 1000))
        assert json.loads(self.upload(browser, pieces, "text/xml").body) == [5000, 3]
        answer = browser.get("/lab/table")
        assert answer.complete and answer.headers["Transfer-Encoding"] == "chunked"
        assert [[float(cell.text) for cell in row] for row in ElementTree.fromstring(answer.body)] == ROWS

    def test_a_malformed_upload_is_a_400_and_changes_nothing(self, server):
        browser = self.logged_in(server, "cleo")
        assert self.upload(browser, b"1,2\n3,4\n", "text/csv").status == 200
        for body, kind, reason in ((b"<table><row></table>", "text/xml", "tag mismatch"), (b"", "text/xml", "malformed"),
                                   (AS_CSV + b"1,two,3\n", "text/csv", "could not convert string 'two'"),
                                   (AS_CSV + b"1,2\n", "text/csv", "number of columns changed")):
            answer = self.upload(browser, body, kind)
            assert answer.status == 400 and reason in answer.text, answer.text
        assert browser.get("/lab/table").text.count("<row>") == 2

    def test_a_failure_in_a_module_is_a_500_with_its_traceback_in_the_log(self, server):
        assert server.get("/lab/fail").status == 500
        server.log.expect("LinAlgError: Singular matrix")
        server.log.declare("wsgi:error")

    def test_users_of_many_threads_get_what_is_theirs(self, server):
        def one(number: int) -> bool:
            browser = self.logged_in(server, f"user{number}")
            rows = [[number, row] for row in range(300)]
            assert self.upload(browser, "".join(f"{a},{b}\n" for a, b in rows).encode(), "text/csv").status == 200
            found = ElementTree.fromstring(browser.get("/lab/table").body)
            return [[float(cell.text) for cell in row] for row in found] == rows

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(one, range(32)))
