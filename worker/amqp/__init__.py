"""The broker: the only home of aio_pika, aiormq and pamqp."""
