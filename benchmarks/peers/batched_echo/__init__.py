"""The ceiling of Python on this wire: many messages in one write, no database, no promise."""
