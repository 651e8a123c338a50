"""The database behind the pipeline: the only home of SQLAlchemy. SQLite and PostgreSQL run the same code; what
they do differently stands in `engine.py`, what they store differently in `tables.py`, what their errors mean in
`errors.py`.
"""
