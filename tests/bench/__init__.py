"""The benchmark: `tests/bench/run` compares our module with the C module."""
