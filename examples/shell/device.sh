#!/bin/sh
# A device: it starts its stream and ends it. Needs `stream-worker` and jq.
#
# sh device.sh cam-1 [message-id]
#
# Not with amqp-publish: that can set neither `type`, which a command must have, nor `message_id`, without which a
# repeat would be another command; and it waits for no confirm. `stream-worker send` does all of it.
set -eu

device_id=$1
# A device that may crash writes its message id down before it asks, and asks with it again.
message_id=${2:-$(cat /proc/sys/kernel/random/uuid)}

# For 15 seconds it asks again by itself, with the same message id: the command takes effect once.
ask() {
  status=0
  answer=$(stream-worker send "$@" --timeout 15 --json) || status=$?
  case $status in
    0) printf '%s' "$answer" | jq -r '"\(.outcome) \(.stream.device_id) \(.stream.code)"' ;;
    1) printf '%s' "$answer" | jq -r '"\(.code): \(.detail)"' >&2; exit 1 ;;
    *) echo "no answer (see above); run it again with the message id $message_id" >&2; exit 75 ;;
  esac
}

ask create "$device_id" --message-id "$message_id"
ask stop --code "$(printf '%s' "$answer" | jq -r .stream.code)"
