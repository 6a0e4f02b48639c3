/** What happened, in words; unknown kinds are spelt out. */
const WORDS: Record<string, string> = {
  "device.connected": "Device connected",
  "device.disconnected": "Device disconnected",
  "device.refused": "Device refused",
  "api-key.issued": "API key issued",
  "api-key.revoked": "API key revoked",
  "credential.acl-changed": "Credential's permissions changed",
};

export function kindWords(kind: string): string {
  const spelt = kind.replaceAll(/[.-]/g, " ");
  return WORDS[kind] ?? spelt.charAt(0).toUpperCase() + spelt.slice(1);
}
