"""Runs real httpd servers for tests, in the manner of httpd's own test/pyhttpd. See tests/README.md."""
