import type { CertificateFacts, IntegrationView } from "@/api/schema";
import { Facts } from "@/ui/Page";
import { Time } from "@/ui/Time";
import css from "./Integrations.module.css";

/** What the stored certificates say of themselves. */
export function Certificates({ integration }: { integration: IntegrationView }) {
  const own = integration.client_certificate;
  const authorities = integration.ca_certificates ?? [];
  if (!own && authorities.length === 0) return null;
  return (
    <div className={css.certificates}>
      {own && <One title="Client certificate in use" facts={own} />}
      {authorities.map((facts) => (
        <One key={facts.fingerprint} title="Authority that is trusted" facts={facts} />
      ))}
    </div>
  );
}

function One({ title, facts }: { title: string; facts: CertificateFacts }) {
  return (
    <section aria-label={title}>
      <h3 className={css.certificateTitle}>{title}</h3>
      <Facts
        rows={[
          [
            "Subject",
            <span key="s" className="break">
              {facts.subject}
            </span>,
          ],
          [
            "Issued by",
            <span key="i" className="break">
              {facts.issuer}
            </span>,
          ],
          ["Valid until", <Time key="u" at={facts.not_after} />],
          ["Key", facts.key],
          [
            "SHA-256",
            <span key="f" className="mono break">
              {facts.fingerprint}
            </span>,
          ],
        ]}
      />
    </section>
  );
}
