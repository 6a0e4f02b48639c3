import type { CredentialView } from "@/api/schema";
import { CopyValue } from "@/ui/Copy";
import { Card, Columns, Facts } from "@/ui/Page";
import { Time } from "@/ui/Time";
import { Certificate } from "./Certificate";
import css from "./Details.module.css";

export function Details({ credential }: { credential: CredentialView }) {
  const secrets = credential.secrets ?? [];
  return (
    <Columns min={380}>
      <Card title="What it connects with">
        <Facts
          rows={[
            ["User name", <CopyValue key="u" text={credential.username} label="user name" />],
            ["Client id", <CopyValue key="c" text={credential.client_id} label="client id" />],
            ["Device", credential.device_id ?? "any"],
            ["Created", <Time key="m" at={credential.created_at} />],
            ["Expires", <Time key="e" at={credential.expires_at} />],
            ["Id", <CopyValue key="i" text={credential.id} label="id" />],
          ]}
        />
      </Card>
      <Card title="Passwords that hold">
        {secrets.length === 0 && <p className={css.none}>None: it can no longer connect.</p>}
        {secrets.map((secret) => (
          <div key={secret.hint} className={css.secret}>
            <span className="mono">{secret.hint}…</span>
            <span className={css.words}>
              used <Time at={secret.last_used_at} as="ago" />
              {secret.valid_until && (
                <>
                  , ends <Time at={secret.valid_until} as="ago" />
                </>
              )}
            </span>
          </div>
        ))}
      </Card>
      <Certificate credential={credential} />
    </Columns>
  );
}
