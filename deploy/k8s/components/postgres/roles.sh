#!/bin/bash
# Runs once, when the volume is empty: the three roles of the platform (docs/guides/kubernetes.md says what each may).
set -euo pipefail
role() { # name, attributes, file of the password
  psql -v ON_ERROR_STOP=1 -U postgres -v password="$(cat "$3")" <<SQL
CREATE ROLE $1 LOGIN $2 PASSWORD :'password';
SQL
}
role hybridmq_owner NOBYPASSRLS /run/secrets/owner/password
role hybridmq_projector BYPASSRLS /run/secrets/projector/password
role hybridmq_query NOBYPASSRLS /run/secrets/query/password
createdb -U postgres -O hybridmq_owner hybridmq
