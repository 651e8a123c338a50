"""Those beside whom the worker is measured, each in an environment of its own."""
