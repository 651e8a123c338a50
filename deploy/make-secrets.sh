#!/bin/sh
# Make the passwords that docker-compose.yml needs, in deploy/secrets/. Existing ones are left as they are.
#
# The passwords are hexadecimal, so they can stand in a URL as they are. Compose mounts a secret with the mode that
# the file has here, and the containers read it as users of their own: so the files are readable and the folder is
# closed, which keeps everybody else on this host out.
set -eu

folder="$(dirname "$0")/secrets"
chmod 700 "$folder"
for name in amqp_password postgres_password; do
    file="$folder/$name.txt"
    if [ -s "$file" ]; then
        echo "kept $file"
        continue
    fi
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$file"
    chmod 644 "$file"
    echo "made $file"
done
