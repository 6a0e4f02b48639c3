import type { StreamEvent } from "@/api/stream";

/** A message as the live stream sends it, and as `GET /v1/messages` lists it. */
export interface LiveMessage {
  sequence: number;
  received_at: string;
  device_id: string | null;
  topic: string;
  integration_id: string;
  qos: number;
  retain: boolean;
  payload: string;
  encoding: "utf-8" | "base64";
  readings?: Sample[];
  failure?: string | null;
  undecoded?: string;
}

export interface Sample {
  device_id: string;
  timestamp: string;
  metrics: Record<string, number | boolean | string>;
  units: Record<string, string>;
}

export const isMessage = (event: StreamEvent): boolean => event.event === "message";

const OWN_PREFIX = /^org_[a-z0-9]{16}\//;

/** Without the organization's prefix, which all topics of the hosted broker have. */
export const relative = (topic: string): string => topic.replace(OWN_PREFIX, "");

const encoder = new TextEncoder();

export function bytesOf(message: LiveMessage): Uint8Array {
  if (message.encoding === "utf-8") return encoder.encode(message.payload);
  return Uint8Array.from(atob(message.payload), (letter) => letter.charCodeAt(0));
}

/** 14:03:59.042, local; `Intl` takes fifty times as long for each of the hundreds a second. */
export function clock(at: string): string {
  const date = new Date(at);
  const two = (n: number) => String(n).padStart(2, "0");
  const ms = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}

/** How much of a payload is shown in one line. */
const PREVIEW_CHARS = 200;
const PREVIEW_BYTES = 24;

export function preview(message: LiveMessage): string {
  if (message.payload === "") return "(empty)";
  if (message.encoding === "utf-8") return message.payload.slice(0, PREVIEW_CHARS);
  const bytes = bytesOf({ ...message, payload: message.payload.slice(0, 64) }); // 48 bytes
  return `${hexOf(bytes.slice(0, PREVIEW_BYTES))}${bytes.length > PREVIEW_BYTES ? " …" : ""}`;
}

export const hexOf = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
