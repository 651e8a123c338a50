"""The database's schema, step by step. Run through `migrations.runner`; knows nothing of the worker but its
settings. The files ship with the package, so a wheel can migrate too.
"""
