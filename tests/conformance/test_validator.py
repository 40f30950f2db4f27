"""wsgiref.validate around an application and its server: it raises where either does not keep to PEP 3333."""

import pytest

APPLICATION = """
    from wsgiref.validate import validator

    def form(environ, start_response):
        stream = environ["wsgi.input"]
        length = int(environ.get("CONTENT_LENGTH") or 0)
        how = environ["PATH_INFO"].strip("/")
        if how == "lines":
            lines = []
            while line := stream.readline():
                lines.append(line)
            body = b"|".join(lines)
        elif how == "iterate":
            body = b"|".join(iter(stream))
        elif how == "readlines":
            body = b"|".join(stream.readlines())
        else:
            body = stream.read(length)
        environ["wsgi.errors"].flush()
        headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body) + 2))]
        if how == "exc-info":
            try:
                raise ValueError
            except ValueError:
                import sys
                start_response("500 Replaced", headers, sys.exc_info())
        else:
            start_response("200 OK", headers)
        return [b"<", body, b">"]

    def writes(environ, start_response):
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"written ")
        return [b"returned"]

    def empty(environ, start_response):
        start_response("204 Nothing", [])
        return []

    checked = {name: validator(function) for name, function in dict(form=form, writes=writes, empty=empty).items()}

    def application(environ, start_response):
        name = environ["QUERY_STRING"] or "form"
        return checked[name](environ, start_response)
"""


class TestValidator:
    @staticmethod
    def configure(site):
        site.write("checked.wsgi", APPLICATION)
        site.serve("checked.wsgi", at="/at")

    @pytest.mark.parametrize("how, body", [("read", b"<a\nb\n>"), ("lines", b"<a\n|b\n>"), ("iterate", b"<a\n|b\n>"),
                                           ("readlines", b"<a\n|b\n>")])
    def test_every_way_to_read_is_as_it_should_be(self, server, how, body):
        answer = server.post(f"/at/{how}", b"a\nb\n")
        assert (answer.status, answer.body) == (200, body)

    @pytest.mark.parametrize("path", ["/at", "/at/", "/at/a//b", "/at/%E4%20%2B", "/at/?form", "/at/x?form"])
    def test_get_is_as_it_should_be(self, server, path):
        answer = server.get(path)
        assert (answer.status, answer.body) == (200, b"<>")

    def test_a_replaced_status_is_as_it_should_be(self, server):
        answer = server.get("/at/exc-info")
        assert (answer.status, answer.reason, answer.body) == (500, "Replaced", b"<>")

    def test_write_is_as_it_should_be(self, server):
        assert server.get("/at/?writes").body == b"written returned"

    def test_a_response_without_a_body_is_as_it_should_be(self, server):
        answer = server.get("/at/?empty")
        assert (answer.status, answer.body) == (204, b"")

    def test_other_methods_are_as_they_should_be(self, server):
        for method in ("HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"):
            assert server.request(method, "/at/").status == 200
