"""Functions of access, authentication, group and dispatch scripts. Source: src/core/script_call.rs."""

import re
import struct

import pytest
from wire import KEYS, text

ALLOW, PASSWORD, REALM, GROUPS, DISPATCH = range(1, 6)
NONE, TRUE, FALSE, TEXT, TEXTS, ROUTING, MISSING, NOT_LOADED, FAILED = range(9)
NAMES = {ALLOW: "allow_access", PASSWORD: "check_password", REALM: "get_realm_hash", GROUPS: "groups_for_user"}
PARAMETERS = {ALLOW: "environ, host", PASSWORD: "environ, user, password", REALM: "environ, user, realm", GROUPS: "environ, user"}


def call(function, script, *arguments, group="", reloading=False, **environ):
    payload = bytes([function, reloading]) + text(script) + text(group) + bytes([len(arguments)])
    payload += b"".join(text(argument) for argument in arguments)
    for name, value in environ.items():
        number = KEYS.index(name) + 1 if name in KEYS else 0
        payload += bytes([number]) + (b"" if number else text(name)) + text(value)
    return payload


def read_answer(data):
    kind, rest = data[0], data[1:]

    def take():
        nonlocal rest
        (length,) = struct.unpack_from("<I", rest)
        taken, rest = rest[4:4 + length], rest[4 + length:]
        return taken
    if kind == TEXT:
        return kind, take()
    if kind == TEXTS:
        texts = []
        while rest:
            texts.append(take())
        return kind, texts
    if kind == ROUTING:
        routing = []
        for _ in range(3):
            known, rest = rest[0], rest[1:]
            value = take()
            routing.append(value if known else None)
        return kind, routing
    assert not rest
    return kind


@pytest.fixture
def ask(run_steps):
    """Runs calls, and answers what each said and the log."""
    def ask(*steps, **how):
        status, out, err = run_steps([("c", step) if isinstance(step, bytes) else step for step in steps], **how)
        assert (status, err) == (0, ""), (out, err)
        answers = [read_answer(bytes.fromhex(answer)) for answer in re.findall(r"^answer: (\w+)$", out, re.M)]
        assert out.count("outcome: 0\n") == len(answers)
        return answers, out
    return ask


def results(ask, place, function, expressions, *arguments):
    """The answers to a script that returns each expression."""
    steps = []
    for number, expression in enumerate(expressions):
        script = place.script(f"def {NAMES[function]}({PARAMETERS[function]}):\n    return {expression}\n", f"s{number}.py")
        steps.append(call(function, script, *arguments))
    return ask(*steps)


def numbers(out):
    """The WSGI numbers of the log, in their order."""
    return re.findall(r"WSGI(\d{4}):", out)


def test_only_the_objects_true_false_and_none_answer_an_access_script(ask, place):
    expressions = ["True", "False", "None", "1", "0", "'yes'", "[]", "1 / 0", "host == 'client.example'"]
    answers, out = results(ask, place, ALLOW, expressions, "client.example")
    assert answers == [TRUE, FALSE, NONE, FAILED, FAILED, FAILED, FAILED, FAILED, TRUE]
    assert numbers(out) == ["0055"] * 4 + ["0174"]
    assert "allow_access() of the script must return True, False or None, not int" in out
    assert "ZeroDivisionError: division by zero" in out


def test_a_password_is_right_wrong_or_somebody_elses(ask, place):
    expressions = ["user == 'J\\xf6rg' and password == 'p\\xe4ss'", "False", "None", "'ren\\xe9e'", "''", "b'bytes'", "1",
                   "'\\ud800'", "exit(3)"]
    answers, out = results(ask, place, PASSWORD, expressions, b"J\xf6rg", b"p\xe4ss")
    assert answers == [TRUE, FALSE, NONE, (TEXT, "renée".encode()), FAILED, FAILED, FAILED, FAILED, FAILED]
    assert numbers(out) == ["0176", "0177", "0177", "0174", "0175"]
    assert "p\xe4ss" not in out and "UnicodeEncodeError" in out


def test_a_hash_is_text_or_bytes(ask, place):
    expressions = ["'%s:%s' % (user, realm)", "b'bytes'", "'\\xe4'", "None", "''", "b''", "True", "['hash']", "'\\u20ac'"]
    answers, out = results(ask, place, REALM, expressions, "me", "here")
    assert answers == [(TEXT, b"me:here"), (TEXT, b"bytes"), (TEXT, b"\xe4"), NONE, FAILED, FAILED, FAILED, FAILED, FAILED]
    assert numbers(out) == ["0178", "0178", "0179", "0179", "0174"]


def test_groups_are_an_iterable_of_text_or_bytes(ask, place):
    expressions = ["['a', b'b', user]", "iter(('\\xe4',))", "[]", "''", "{'only': 1}", "None", "[1]", "b'ab'", "['\\u20ac']",
                   "(1 / 0 for _ in 'a')", "True"]
    answers, out = results(ask, place, GROUPS, expressions, "me")
    assert answers == [(TEXTS, [b"a", b"b", b"me"]), (TEXTS, [b"\xe4"]), (TEXTS, []), (TEXTS, []), (TEXTS, [b"only"]),
                       FAILED, FAILED, FAILED, FAILED, FAILED, FAILED]
    assert numbers(out) == ["0051", "0050", "0050", "0049", "0174", "0051"]


def test_a_dispatch_script_answers_with_what_it_has(ask, place):
    scripts = {
        "one": "def process_group(environ): return environ['SERVER_NAME']",
        "all": "process_group = lambda environ: None\napplication_group = lambda environ: b'bytes'\ncallable_object = lambda environ: ''",
        "none": "",
        "wrong": "process_group = lambda environ: 'site'\napplication_group = lambda environ: 1\n"
                 "def callable_object(environ): print('not called')",
        "raises": "process_group = lambda environ: 1 / 0",
        "wide": "callable_object = lambda environ: '\\u20ac'",
    }
    steps = [call(DISPATCH, place.script(text, name), SERVER_NAME="site") for name, text in scripts.items()]
    answers, out = ask(*steps)
    assert answers == [(ROUTING, [b"site", None, None]), (ROUTING, [None, b"bytes", b""]), (ROUTING, [None] * 3), FAILED, FAILED, FAILED]
    assert numbers(out) == ["0174"] * 3 and "not called" not in out
    assert "TypeError: application_group() must return str, bytes or None, not int" in out


@pytest.mark.parametrize("function", [ALLOW, PASSWORD, REALM, GROUPS, DISPATCH])
def test_a_script_that_cannot_be_loaded_is_told_from_one_without_the_function(ask, place, function):
    broken, empty = place.script("1 / 0", "broken.py"), place.script("other = 1", "empty.py")
    answers, out = ask(call(function, broken), call(function, empty), call(function, place.folder / "missing.py"))
    assert answers == [NOT_LOADED, (ROUTING, [None] * 3) if function == DISPATCH else MISSING, NOT_LOADED]
    assert "ZeroDivisionError" in out and "missing.py" in out


SHOW = """
    def show(environ):
        import ctypes
        shown = {name: value for name, value in environ.items() if isinstance(value, (str, tuple))}
        shown["other"] = sorted(set(environ) - set(shown))
        shown["name"] = environ["wsgi.errors"].name
        print(type(environ) is dict, repr(shown).replace("\\n", ""))
    def allow_access(environ, host):
        show(environ)
        https, lookup = environ["mod_ssl.is_https"], environ["mod_ssl.var_lookup"]
        print([https(), lookup("SSL_ANY"), lookup(b"SSL_ANY"), lookup("SSL_OTHER"), lookup("SSL_ANY\\0")])
        for arguments in (), (1,), ("a", "b"):
            try:
                lookup(*arguments)
            except TypeError as error:
                print(error)
        global kept
        kept = environ
        print("partial", end="", file=environ["wsgi.errors"])
        return True
    def process_group(environ):
        show(environ)
    def get_realm_hash(environ, user, realm):
        answers = []
        for use in (kept["mod_ssl.is_https"], lambda: kept["mod_ssl.var_lookup"]("SSL_ANY"), lambda: kept["wsgi.errors"].write("x")):
            try:
                use()
            except RuntimeError as error:
                answers.append(str(error))
        return "|".join(answers)
"""


def shown(out):
    return [eval(line) for line in re.findall(r"\] True (\{.*\})$", out, re.M)]


def test_what_a_script_is_called_with(ask, place):
    script = place.script(SHOW)
    environ = dict(REQUEST_METHOD="GET", MY_OWN=b"\xe4", SCRIPT_FILENAME="/srv/ä")
    answers, out = ask(("C", call(ALLOW, script, "client", group="sub", **environ)), call(DISPATCH, script, group="sub", HTTPS="on"),
                       call(DISPATCH, script, **{"mod_wsgi.application_group": "said"}))
    assert answers == [TRUE, (ROUTING, [None] * 3), (ROUTING, [None] * 3)]
    access, dispatch, other = shown(out)
    groups = {"mod_wsgi.process_group": "", "mod_wsgi.application_group": "sub"}
    assert access == {**groups, "apache.version": (2, 4, 62), "mod_wsgi.version": (7, 0, 0), "REQUEST_METHOD": "GET", "MY_OWN": "\xe4",
                      "SCRIPT_FILENAME": access["SCRIPT_FILENAME"], "name": "<log>",
                      "other": ["apache.request_rec", "mod_ssl.is_https", "mod_ssl.var_lookup", "wsgi.errors"]}
    assert access["SCRIPT_FILENAME"].encode("utf-8", "surrogateescape") == "/srv/ä".encode()
    assert dispatch == {**groups, "HTTPS": "on", "name": "<log>", "other": ["wsgi.errors"]}
    assert other["mod_wsgi.application_group"] == "said"
    assert "[1, 'value äö', 'value äö', None, None]" in out
    assert "ssl_var_lookup() takes exactly 1 argument (0 given)" in out and "must be str or bytes, not int" in out
    assert f"log: [script {script}] partial\n" in out


def test_what_was_kept_of_a_call_is_of_no_use_later(ask, place):
    script = place.script(SHOW)
    answers, out = ask(call(ALLOW, script, "client"), call(REALM, script, "user", "realm"))
    kind, text = answers[1]
    assert kind == TEXT and [line.endswith("after request completed") for line in text.decode().split("|")] == [True] * 3


def test_a_changed_script_is_loaded_again_in_place(ask, place):
    first, second = "raise_it = reload_required = lambda path: 1 / 0\nallow_access = lambda environ, host: True\n", "allow_access = lambda environ, host: False\n"
    script = place.script(first)
    write = lambda text: ("w", bytes(script) + b"\0" + text.encode())
    answers, out = ask(call(ALLOW, script, "c", reloading=True), call(ALLOW, script, "c", reloading=True), write(second),
                       call(ALLOW, script, "c"), call(ALLOW, script, "c", reloading=True), write("1 / 0\n"),
                       call(ALLOW, script, "c", reloading=True), write(second), call(ALLOW, script, "c", reloading=True))
    assert answers == [TRUE, TRUE, TRUE, FALSE, NOT_LOADED, FALSE]
    assert out.count("WSGI7012") == 2


def test_scripts_run_on_many_threads(ask, place):
    script = place.script("groups_for_user = lambda environ, user: [user, environ['mod_wsgi.application_group']]")
    steps = [call(GROUPS, script, f"user{number}", group=f"group{number % 2}") for number in range(4)]
    answers, out = ask(*steps, threads=8, repeat=50)
    assert len(answers) == 32
    assert all(kind == TEXTS and texts[1] == f"group{int(texts[0][-1:]) % 2}".encode() for kind, texts in answers)
