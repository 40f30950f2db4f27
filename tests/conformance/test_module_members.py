"""The module `mod_wsgi` as an application imports it: what is in it, of which type, and what it refuses. And `apache`."""

import ast

import pytest

from harness import under_test

pytestmark = pytest.mark.since((6, 1, 1), "older versions have other members")

EVALUATE = """
    import io, logging, sys
    import apache, mod_wsgi

    def application(environ, start_response):
        expression = environ["wsgi.input"].read().decode()
        try:
            answer = repr(eval(expression, {**globals(), "environ": environ}))
        except Exception as error:
            answer = f"{type(error).__name__}: {error}"
        start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
        return [answer.encode()]
"""
FUNCTIONS = ["process_metrics", "request_data", "request_metrics", "server_metrics", "start_recording_metrics",
             "subscribe_events", "subscribe_shutdown", "subscribe_signals"]
MEMBERS = sorted([*FUNCTIONS, "FileWrapper", "LogHandler", "RequestTimeout", "active_requests", "application_group",
                  "event_callbacks", "maximum_processes", "process_group", "shutdown_callbacks", "signal_callbacks",
                  "threads_per_process", "version"])


def ask(server, expression, at="/"):
    answer = server.post(at, expression.encode())
    assert answer.status == 200, answer
    return answer.text


def value(server, expression, at="/"):
    return ast.literal_eval(ask(server, expression, at))


class TestMembers:
    @staticmethod
    def configure(site):
        script = site.write("evaluate.wsgi", EVALUATE)
        site.add(site.daemon("app", "processes=2 threads=3"), f"""
            WSGIScriptAlias /other {script} application-group=other
            WSGIScriptAlias / {script} application-group=%{{GLOBAL}}
        """)

    def test_its_public_names_are_these(self, server):
        assert value(server, "sorted(name for name in dir(mod_wsgi) if not name.startswith('_') or name == '__file__')") == MEMBERS

    def test_it_has_no_file_no_loader_and_no_text(self, server):
        names = ["__name__", "__doc__", "__loader__", "__package__", "__spec__"]
        assert value(server, f"[getattr(mod_wsgi, name) for name in {names}]") == ["mod_wsgi", None, None, None, None]
        assert value(server, "sys.modules['mod_wsgi'] is mod_wsgi, hasattr(mod_wsgi, '__file__')") == (True, False)

    def test_version_is_a_tuple_of_three_numbers(self, server):
        assert value(server, "mod_wsgi.version") == under_test.version()
        assert value(server, "[type(part).__name__ for part in mod_wsgi.version]") == ["int"] * 3

    def test_the_groups_are_text_and_empty_for_embedded_mode_and_the_main_interpreter(self, server, site):
        group = "" if site.embedded else "app"
        assert value(server, "mod_wsgi.process_group, mod_wsgi.application_group") == (group, "")
        assert value(server, "mod_wsgi.process_group, mod_wsgi.application_group", "/other") == (group, "other")

    def test_processes_and_threads_are_those_of_the_group_or_of_the_mpm(self, server, site):
        processes, threads = value(server, "mod_wsgi.maximum_processes, mod_wsgi.threads_per_process")
        if not site.embedded:
            assert (processes, threads) == (2, 3)
            return
        assert threads == (1 if site.mpm == "prefork" else 10)
        if under_test.OURS:
            assert processes == (10 if site.mpm == "prefork" else 4), "the most there can be, not the most there were so far"

    def test_lists_and_dictionary_are_plain_and_empty_at_first(self, server):
        lists = ["event_callbacks", "shutdown_callbacks", "signal_callbacks"]
        assert value(server, f"[getattr(mod_wsgi, name) for name in {lists}]") == [[], [], []]
        assert value(server, "type(mod_wsgi.active_requests) is dict")

    def test_functions_are_built_in_and_say_nothing_of_themselves(self, server):
        about = "(type(function).__name__, function.__module__, function.__doc__, function.__text_signature__)"
        assert value(server, f"{{{about} for function in (getattr(mod_wsgi, name) for name in {FUNCTIONS})}}") == \
            {("builtin_function_or_method", None, None, None)}
        for attribute in ("__name__", "__qualname__"):
            assert value(server, f"[getattr(mod_wsgi, name).{attribute} for name in {FUNCTIONS}]") == FUNCTIONS
        assert value(server, f"{{repr(getattr(mod_wsgi, name)) for name in {FUNCTIONS}}}") == \
            {f"<built-in function {name}>" for name in FUNCTIONS}

    @pytest.mark.parametrize("name", [name for name in FUNCTIONS if not name.startswith("subscribe")])
    def test_functions_without_arguments_take_none(self, server, name):
        assert ask(server, f"mod_wsgi.{name}(1)").startswith("TypeError: ")
        assert ask(server, f"mod_wsgi.{name}(argument=1)").startswith("TypeError: ")

    @pytest.mark.parametrize("name", [name for name in FUNCTIONS if name.startswith("subscribe")])
    def test_functions_to_subscribe_take_one_argument_by_its_place(self, server, name):
        for arguments in ("", "1, 2", "callback=1"):
            assert ask(server, f"mod_wsgi.{name}({arguments})").startswith("TypeError: ")

    def test_who_subscribes_gets_back_what_it_gave_and_is_in_the_list(self, server):
        for kind in ("event", "shutdown"):
            given = f"[given := object(), mod_wsgi.subscribe_{kind}{'s' if kind == 'event' else ''}(given)]"
            assert value(server, f"(lambda pair: (pair[0] is pair[1], mod_wsgi.{kind}_callbacks.pop() is pair[0]))({given})") == (True, True)

    def test_every_interpreter_has_lists_of_its_own(self, server):
        assert value(server, "mod_wsgi.shutdown_callbacks.append(''.format), len(mod_wsgi.shutdown_callbacks)")[1] >= 1
        assert value(server, "len(mod_wsgi.shutdown_callbacks)", "/other") == 0

    def test_signals_are_for_daemons_alone(self, server, site):
        seen = value(server, "mod_wsgi.subscribe_signals(5), mod_wsgi.signal_callbacks, mod_wsgi.signal_callbacks.clear()")
        assert seen[0] == 5
        if site.embedded:
            server.log.expect("wsgi:info.*, line [0-9]+, in application")
        if site.embedded and under_test.OURS:
            server.log.expect("wsgi:info.*WSGI7042")

    def test_request_timeout_is_an_exception_that_except_exception_does_not_catch(self, server):
        assert value(server, "mod_wsgi.RequestTimeout.__mro__[1] is BaseException, mod_wsgi.RequestTimeout.__module__") == (True, "mod_wsgi")

    def test_log_handler_is_a_handler_of_logging(self, server):
        assert value(server, "issubclass(mod_wsgi.LogHandler, logging.Handler), mod_wsgi.LogHandler.__module__") == (True, "mod_wsgi")
        assert value(server, "mod_wsgi.LogHandler().level, mod_wsgi.LogHandler(30).level, mod_wsgi.LogHandler(level=40).level") == (0, 30, 40)


class TestFileWrapper:
    modes = ("daemon",)
    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.write("evaluate.wsgi", EVALUATE)
        site.serve("evaluate.wsgi")

    def test_it_is_the_one_of_the_environ(self, server):
        assert value(server, "mod_wsgi.FileWrapper is environ['wsgi.file_wrapper']")

    def test_it_gives_blocks_of_the_size_that_was_asked_for(self, server):
        assert value(server, "list(mod_wsgi.FileWrapper(io.BytesIO(b'abcde'), 2))") == [b"ab", b"cd", b"e"]
        assert value(server, "list(mod_wsgi.FileWrapper(filelike=io.BytesIO(b'abcde'), blksize=3))") == [b"abc", b"de"]
        assert value(server, "mod_wsgi.FileWrapper(io.BytesIO()).blksize") == 8192

    @pytest.mark.parametrize("call, error", [
        ("mod_wsgi.FileWrapper()", "TypeError"),
        ("mod_wsgi.FileWrapper(io.BytesIO(), 1, 2)", "TypeError"),
        ("mod_wsgi.FileWrapper(io.BytesIO(), size=1)", "TypeError"),
        ("mod_wsgi.FileWrapper(io.BytesIO(), -1)", "ValueError"),
        ("list(mod_wsgi.FileWrapper(io.StringIO('text')))", "TypeError"),
        ("(lambda wrapper: (wrapper.close(), wrapper.filelike))(mod_wsgi.FileWrapper(io.BytesIO()))", "ValueError"),
        ("setattr(mod_wsgi.FileWrapper(io.BytesIO()), 'blksize', 1)", "AttributeError"),
    ])
    def test_what_is_wrong_is_refused(self, server, call, error):
        assert ask(server, call).startswith(f"{error}: ")


class TestApache:
    @staticmethod
    def configure(site):
        site.write("evaluate.wsgi", EVALUATE)
        site.serve("evaluate.wsgi", options="processes=2 threads=3")

    def test_its_members_describe_httpd(self, server, site):
        names = ["build_date", "description", "maximum_processes", "mpm_name", "threads_per_process", "version"]
        assert value(server, "sorted(name for name in dir(apache) if not name.startswith('_'))") == names
        assert value(server, "apache.mpm_name") == site.mpm
        assert value(server, "apache.description").startswith("Apache/2.4.")
        assert "mod_wsgi/" in value(server, "apache.description")
        assert value(server, "apache.version")[:2] == (2, 4)
        assert value(server, "type(apache.build_date).__name__") == "str"

    @pytest.mark.ours_only("the C module adds Python/3.x to the banner")
    def test_its_description_names_no_python(self, server):
        assert "Python" not in value(server, "apache.description")

    def test_its_numbers_are_those_of_the_mpm_in_daemons_too(self, server, site):
        processes, threads = value(server, "apache.maximum_processes, apache.threads_per_process")
        assert threads == (1 if site.mpm == "prefork" else 10)
        assert processes >= 1

    def test_it_is_in_sys_modules(self, server):
        assert value(server, "sys.modules['apache'] is apache")


class TestAnApacheModuleOfTheApplication:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.write("lib/apache.py", "mine = True\n")
        site.write("evaluate.wsgi", EVALUATE)
        path = "" if not site.embedded else f"WSGIPythonPath {site.root}/app/lib"
        site.add(path)
        site.serve("evaluate.wsgi", options=f"python-path={site.root}/app/lib")

    def test_it_gets_the_members_in_embedded_mode_and_is_hidden_in_a_daemon(self, server, site):
        assert value(server, "getattr(apache, 'mine', False), apache.mpm_name") == (site.embedded, "event")


class TestAnApacheModuleThatFails:
    mpms = ("event",)
    modes = ("embedded",)

    @staticmethod
    def configure(site):
        site.write("lib/apache.py", "raise RuntimeError('the reason')\n")
        site.write("evaluate.wsgi", EVALUATE)
        site.add(f"WSGIPythonPath {site.root}/app/lib")
        site.serve("evaluate.wsgi")

    def test_the_failure_is_logged_and_there_is_a_module_all_the_same(self, server):
        assert value(server, "apache.mpm_name") == "event"
        server.log.declare("wsgi:error")
        server.log.expect("WSGI0188|the reason")
