#!/bin/sh
# Make the secrets that docker-compose.yml needs, in deploy/secrets/: a password each for RabbitMQ and PostgreSQL, and
# the worker's two addresses with them. Passwords that are there already are kept.
#
# The passwords are hexadecimal, so they can stand in a URL as they are. Compose mounts a secret with the mode that
# the file has here, and the containers read it as users of their own: so the files are readable and the folder is
# closed, which keeps everybody else on this host out.
set -eu
umask 022

cd "$(dirname "$0")/secrets"
chmod 700 .
for name in amqp_password postgres_password; do
    [ -s "$name.txt" ] || od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$name.txt"
done
echo "amqp://streams:$(cat amqp_password.txt)@rabbitmq:5672/" >amqp_url.txt
echo "postgresql+asyncpg://streams:$(cat postgres_password.txt)@postgres:5432/streams" >database_url.txt
echo "The secrets are in $(pwd)."
