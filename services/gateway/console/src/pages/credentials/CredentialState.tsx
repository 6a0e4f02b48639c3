import type { CredentialView } from "@/api/schema";
import { Status } from "@/ui/Status";

const SOON_MS = 14 * 86_400_000;

/** Active, about to expire, or why it no longer is. */
export function CredentialState({ credential }: { credential: CredentialView }) {
  if (credential.state === "revoked") return <Status tone="bad">Revoked</Status>;
  if (credential.state === "expired") return <Status tone="idle">Expired</Status>;
  const ends = credential.expires_at && new Date(credential.expires_at).getTime() - Date.now();
  if (ends && ends < SOON_MS) return <Status tone="warn">Expires soon</Status>;
  if ((credential.secrets?.length ?? 0) > 1) return <Status tone="warn">Rotating</Status>;
  return <Status tone="good">Active</Status>;
}
