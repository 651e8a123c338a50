"""Private real servers for development, tests and benchmarks, and the start of it all for `make run`.

A server here has a folder of its own, ports of its own on 127.0.0.1 and nothing to do with one that happens to be
installed as a service or running: it neither reads its settings nor touches its data. Nothing outlives the process that
started it, however that process ends.

The worker never imports this package.
"""
