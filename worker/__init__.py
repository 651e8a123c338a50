"""The stream worker: carries out stream commands from RabbitMQ and says what happened."""
