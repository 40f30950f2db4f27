"""Clients that ask, each on a thread of its own, until the end of a `with` block."""


class Clients:
    """What has `threads`, which ask until the event `stopped` is set."""

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join(30)
