import type { CredentialIssued } from "@/api/schema";

const held = new Map<string, CredentialIssued>();

/** A credential with its password, in this tab's memory only: a reload forgets it. */
export function remember(credential: CredentialIssued): void {
  held.set(credential.id, credential);
}

export function remembered(id: string): CredentialIssued | undefined {
  return held.get(id);
}

export function forget(id: string): void {
  held.delete(id);
}
