"""What the worker costs, beside its peers: `python -m benchmarks`."""
