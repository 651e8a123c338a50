"""Private real servers for development, tests and benchmarks, and the start of it all for `make run`.

A server here has a folder of its own, ports of its own on 127.0.0.1 and nothing to do with one that happens to run
as a service: it neither reads its settings nor touches its data. No process of it outlives the one that started
it, however that one ends.

The worker never imports this package.
"""
