"""aio-pika as its own examples have it, with an ORM session a message."""
