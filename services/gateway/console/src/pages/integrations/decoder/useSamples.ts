import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, ok } from "@/api/client";
import type { DecoderView, MessageRow } from "@/api/schema";
import { useSession } from "@/api/session";

/** A message to try a decoder on, as `POST /v1/decoders/preview` takes it. */
export interface SampleMessage {
  topic: string;
  payload?: string;
  payload_base64?: string;
  /** By the hosted broker the topic names the device. */
  hosted: boolean;
  received_at?: string;
}

export interface Samples {
  options: { value: string; label: string }[];
  value: string;
  choose: (value: string) => void;
  chosen: SampleMessage | undefined;
  /** Of decoders that remember: births that came before the chosen one. */
  preceding: SampleMessage[];
  own: { topic: string; payload: string };
  setOwn: (own: { topic: string; payload: string }) => void;
}

const RECENT = 10;
const PRECEDING_MAX = 5;
const NEWEST = "newest";
const OWN = "own";
const EXAMPLE = "example";
const LETTER = "letter";

/** The last messages that came, a dead letter, the decoder's own example, or what somebody writes. */
export function useSamples(
  integration: string | undefined,
  letter: string | undefined,
  decoder: DecoderView | undefined,
): Samples {
  const reads = useSession().can("read");
  const recent = useQuery({
    queryKey: ["messages", integration, "recent"],
    queryFn: () =>
      ok(api.GET("/v1/messages", { params: { query: { integration_id: integration, limit: RECENT } } })),
    enabled: reads && integration !== undefined,
    refetchInterval: 10_000,
  });
  const dead = useQuery({
    queryKey: ["dead-letters", letter],
    queryFn: () => ok(api.GET("/v1/dead-letters/{id}", { params: { path: { id: letter ?? "" } } })),
    enabled: reads && letter !== undefined,
  });
  const [asked, choose] = useState(letter ? LETTER : NEWEST);
  const [own, setOwn] = useState({ topic: "", payload: "" });
  const rows = recent.data?.items ?? [];
  const found = new Map<string, { label: string; sample: SampleMessage }>();
  if (dead.data) {
    const { topic, payload_base64, integration_id, received_at } = dead.data;
    const sample = { topic, payload_base64, hosted: integration_id === "hosted", received_at };
    found.set(LETTER, { label: `The dead letter of ${topic}`, sample });
  }
  rows.forEach((row, index) => {
    const key = index === 0 ? NEWEST : String(row.sequence);
    const at = new Date(row.received_at).toLocaleTimeString();
    found.set(key, { label: `${index ? at : `The last one, ${at}`}: ${row.topic}`, sample: ofRow(row) });
  });
  const example = decoder?.example;
  if (example) {
    const sample = {
      topic: example.topic,
      ...(example.encoding === "base64" ? { payload_base64: example.payload } : { payload: example.payload }),
      hosted: false,
    };
    found.set(EXAMPLE, { label: `The example of ${decoder.name}`, sample });
  }
  found.set(OWN, { label: "A message of your own", sample: { ...own, hosted: integration === "hosted" } });
  const waits = asked === LETTER && dead.isPending;
  const value = found.has(asked) || waits ? asked : (found.keys().next().value ?? EXAMPLE);
  const chosen = found.get(value)?.sample;
  const at = rows.findIndex((row, index) => value === (index === 0 ? NEWEST : String(row.sequence)));
  const births =
    at < 0 || !decoder?.remembers ? [] : rows.slice(at + 1).filter((row) => /BIRTH/.test(row.topic));
  return {
    options: [...found].map(([key, { label }]) => ({ value: key, label })),
    value,
    choose,
    chosen: value === OWN && !own.topic.trim() ? undefined : chosen,
    preceding: births.slice(0, PRECEDING_MAX).reverse().map(ofRow),
    own,
    setOwn,
  };
}

function ofRow(row: MessageRow): SampleMessage {
  const payload = row.encoding === "utf-8" ? { payload: row.payload } : { payload_base64: row.payload };
  return {
    topic: row.topic,
    ...payload,
    hosted: row.integration_id === "hosted",
    received_at: row.received_at,
  };
}
