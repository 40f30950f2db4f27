"""The time of day jumps by an hour while requests run: none is refused, ended or left waiting for that.

A small library shows httpd another time of day, and where a test wants so its daemons, too.
"""

import email.utils
import http.client
import struct
import subprocess
import threading
import time

import pytest

from harness import clients, interpreters, processes

pytestmark = pytest.mark.ours_only("the C module takes queue-timeout from the time of day of both sides")

HOUR = 3600
LIBRARY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile long *seconds;

/* How far the time of day is off: a number in a file. */
static long shift(void) {
    if (!seconds) {
        int file = open(getenv("CLOCK_SHIFT"), O_RDONLY);
        seconds = mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
        close(file);
    }
    return *seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    int answer = real(clock, now);
    if (!answer && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += shift();
    return answer;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec time;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &time);
    now->tv_sec = time.tv_sec;
    now->tv_usec = time.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    if (now) *now = time.tv_sec;
    return time.tv_sec;
}

/* The system waits by its own clock. A number of so many seconds is a time of day, not of the monotonic clock. */
int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex, const struct timespec *restrict until) {
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    struct timespec time = *until;
    if (time.tv_sec > 1000000000) time.tv_sec -= shift();
    return real(condition, mutex, &time);
}
"""
APPLICATION = """
    import time

    def application(environ, start_response):
        now = time.time()
        body = environ["wsgi.input"].read()
        time.sleep(float(environ["QUERY_STRING"] or 0))
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-Time", str(now))])
        return [b"ok", body]
"""
ACCESS = """
    import struct

    def allow_access(environ, host):
        with open({shift!r}, "r+b") as file:
            file.write(struct.pack("l", {seconds}))
        return True
"""


class Clock:
    """The time of day that a server sees, and its daemons if they are to."""

    def __init__(self, server):
        folder = server.site.root
        self.shift, library = folder / "shift", folder / "clock.so"
        self.jump(0)
        self.shift.chmod(0o666)  # an access script sets it, too
        (folder / "clock.c").write_text(LIBRARY)
        subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, folder / "clock.c", "-ldl"], check=True)
        server.extra_environment = self.environment = {"LD_PRELOAD": str(library), "CLOCK_SHIFT": str(self.shift)}

    def jump(self, seconds):
        with open(self.shift, "r+b" if self.shift.exists() else "wb") as file:
            file.write(struct.pack("l", seconds))

    def python_home(self, site):
        """Whose python3 sees that time, too: a daemon has no LD_PRELOAD of Apache's."""
        program = site.root / "home" / "bin" / "python3"
        program.parent.mkdir(parents=True)
        variables = " ".join(f"{name}='{value}'" for name, value in self.environment.items())
        program.write_text(f'#!/bin/sh\n{variables} exec {interpreters.for_everybody(interpreters.system())} "$@"\n')
        program.chmod(0o755)
        return program.parents[1]


class Clients(clients.Clients):
    """Each asks in its own way again and again; every answer is remembered: status, seconds, how far either clock was off."""

    def __init__(self, port, ways):
        self.port, self.stopped = port, threading.Event()
        self.answers, self.faults = [], []
        self.counts = [0] * len(ways)
        self.threads = [threading.Thread(target=self.keep_asking, args=(number, *way)) for number, way in enumerate(ways)]

    def keep_asking(self, number, method, path, body, headers):
        connection, used = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20), False
        while not self.stopped.is_set():
            begun = time.monotonic()
            try:
                connection.request(method, path, body, headers)
                response = connection.getresponse()
                content = response.read()
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
                if not used:
                    self.faults.append((method, path, repr(error)))
                # Apache closes what has been idle for an hour.
                connection.close()
                used = False
                continue
            except Exception as error:
                self.faults.append((method, path, repr(error)))
                return
            took = time.monotonic() - begun
            used = response.getheader("Connection") != "close" and not headers
            if response.status != 200 or content != b"ok" + (body or b"") or took > 5:
                self.faults.append((method, path, response.status, took, content[:200]))
            else:
                apache = email.utils.parsedate_to_datetime(response.headers["Date"]).timestamp()
                self.answers.append((apache - time.time(), float(response.headers["X-Time"]) - time.time()))
            self.counts[number] += 1
            if not used:
                connection.close()
        connection.close()

    def wait(self, more):
        """Until each client has had so many more answers."""
        wanted = [count + more for count in self.counts]
        processes.wait_until(lambda: self.faults or all(map(lambda have, want: have >= want, self.counts, wanted)),
                             f"each client has {more} more answers: {self.counts}", 30)
        assert not self.faults, self.faults


CLOSE = {"Connection": "close"}
WAYS = [("GET", "/", None, {}), ("GET", "/", None, CLOSE), ("POST", "/", b"x" * 100_000, {}), ("GET", "/?0.1", None, CLOSE),
        ("GET", "/?0.4", None, {}), ("POST", "/?0.1", b"x" * 5000, CLOSE)]


@pytest.mark.parametrize(("mpm", "whose"), [("event", "Apache alone"), ("event", "both"), ("prefork", "both")])
def test_a_jump_of_an_hour_costs_no_request(new_server, mpm, whose):
    """One of Apache alone is as one that falls between what it writes and what a daemon reads."""
    server = new_server(mpm, "daemon")
    clock = Clock(server)
    server.site.write("app.wsgi", APPLICATION)
    home = f"python-home={clock.python_home(server.site)}" if whose == "both" else ""
    server.site.serve("app.wsgi", options=f"threads=4 queue-timeout=2 request-timeout=3 inactivity-timeout=60 restart-interval=900 {home}")
    server.start()
    assert server.get("/").status == 200
    with Clients(server.site.port, WAYS) as clients:
        for seconds in (HOUR, 0, -HOUR, 0):
            clients.wait(2)
            clients.answers.clear()
            clock.jump(seconds)
            clients.wait(2)
            last_of_apache, last_of_the_daemon = clients.answers[-1]
            assert last_of_apache == pytest.approx(seconds, abs=20), "its clock did jump"
            assert last_of_the_daemon == pytest.approx(seconds if whose == "both" else 0, abs=20)
    assert not clients.faults
    assert sum("is starting with" in line for line in server.log.lines()) == 1, "no process was replaced"


@pytest.mark.parametrize("seconds", [-HOUR, HOUR])
def test_a_jump_before_the_request_is_handed_over_costs_it_nothing(new_server, seconds):
    """Between the moment in which Apache notes that it reads the request, and its handler: access, authentication, slow headers."""
    server = new_server("event", "daemon")
    clock = Clock(server)
    access = server.site.write("access.wsgi", ACCESS.format(shift=str(clock.shift), seconds=seconds))
    server.site.write("app.wsgi", APPLICATION)
    server.site.serve("app.wsgi", options="threads=2 queue-timeout=2")
    server.site.add(f"<Location />\nWSGIAccessScript {access}\n</Location>")
    server.log.allow("WSGI0084")
    server.start()
    answer = server.get("/")
    assert answer.status == 200, answer
    assert struct.unpack("l", clock.shift.read_bytes()) == (seconds,), "it did jump"
