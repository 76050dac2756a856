#!/bin/sh
# The five documented routes with curl, and a session's events as they happen.
#
#     TOKEN=$(make -s token USER=alice) USER_ID=alice sh examples/rest.sh
#
# It prints one JSON text a line, and at last the events. It leaves nothing behind.
set -eu

S=${SESSIOND_URL:-http://127.0.0.1:${SESSIOND_GATEWAY_PORT:-8080}}
ID=rest-example-$$
EVENTS=$(mktemp)

api() {
    curl --silent --show-error --fail-with-body \
        --header "Authorization: Bearer $TOKEN" --header "Content-Type: application/json" "$@"
    echo
}

# Create.
api --request POST "$S/api/sessions" --data "{\"id\": \"$ID\", \"userInputs\": {\"market\": \"EU\"}}"

# Follow: server-sent events, from now on, until curl is stopped. After a break, the id of the last
# event goes on in the header Last-Event-ID.
curl --silent --no-buffer --header "Authorization: Bearer $TOKEN" \
    "$S/api/sessions/$ID/events" >"$EVENTS" &
FOLLOWING=$!
trap 'kill $FOLLOWING 2>/dev/null || true; rm -f "$EVENTS"' EXIT

# "From now on" begins with this event; what happens after it is told.
until grep -q "^event: attached" "$EVENTS" || ! kill -0 "$FOLLOWING" 2>/dev/null; do sleep 0.1; done

# List, newest activity first.
api "$S/api/users/$USER_ID/sessions?pageSize=10"

# Talk. A key makes a change repeatable: the same key gives the same answer.
api --request POST "$S/api/chat/$ID/messages" --header "Idempotency-Key: $ID-hello" \
    --data '{"content": "Where do we start?"}'

# What an agent would do: submit an output for the current step. And approve it.
api --request POST "$S/api/chat/$ID/outputs" --data '{"content": "With the foundation."}'
api --request PUT "$S/api/chat/$ID/approve" --data '{"feedback": "Good."}'

# Load, with the last two messages; then delete. Who follows is told, and the stream ends.
api "$S/api/sessions/$ID?tail=2"
api --request DELETE "$S/api/sessions/$ID"

wait "$FOLLOWING" || true
cat "$EVENTS"
