/** What a file, or what was pasted, holds: PEM (RFC 7468). The API checks it; this says at once what is plainly wrong. */

export const BYTES_MAX = 64 * 1024;
const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g;

interface Found {
  certificates: string;
  key: string;
  /** In words: `2 certificates and a private key`; empty where there is no PEM. */
  words: string;
}

export function pemIn(text: string): Found {
  const blocks = [...text.matchAll(BLOCK)];
  const of = (end: string) => blocks.filter(([, label]) => label?.endsWith(end)).map(([block]) => block);
  const certificates = of("CERTIFICATE");
  const keys = of("PRIVATE KEY");
  const words = [
    certificates.length === 1
      ? "a certificate"
      : certificates.length && `${certificates.length} certificates`,
    keys.length && (keys[0]?.includes("ENCRYPTED") ? "a private key with a pass phrase" : "a private key"),
  ].filter(Boolean);
  return { certificates: certificates.join("\n"), key: keys.join("\n"), words: words.join(" and ") };
}

/** A file's text as PEM; a certificate in DER (`.cer`, `.der`) becomes PEM. Throws what to do about others. */
export async function readPem(file: File): Promise<string> {
  if (file.size > BYTES_MAX) throw new Error(`${file.name} is larger than a certificate or a key can be.`);
  const bytes = new Uint8Array(await file.arrayBuffer());
  const text = new TextDecoder().decode(bytes);
  if (pemIn(text).words) return text;
  if (bytes[0] === 0x30 && bytes[1] !== undefined) {
    const inner = bytes[1] < 0x80 ? 2 : 2 + (bytes[1] & 0x7f);
    if (bytes[inner] === 0x30) return derCertificate(bytes);
    if (/\.(p12|pfx)$/i.test(file.name))
      throw new Error(`Make PEM of it first: openssl pkcs12 -in ${file.name} -nodes -out all.pem`);
    throw new Error(`Make PEM of it first: openssl pkey -inform DER -in ${file.name} -out key.pem`);
  }
  throw new Error(`${file.name} is neither a certificate nor a key: a PEM file begins with -----BEGIN …`);
}

function derCertificate(bytes: Uint8Array): string {
  const base64 = btoa(String.fromCharCode(...bytes));
  const lines = base64.match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}
