"""FastStream, with an ORM session a message."""
