"""The database behind the pipeline: the only home of SQLAlchemy. SQLite and PostgreSQL run the same code; what
differs between them stands in `engine.py`.
"""
