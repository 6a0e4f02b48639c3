import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { CredentialView } from "@/api/schema";
import { type StreamState, useLiveStream } from "@/api/stream";
import { connectionsQuery } from "../queries";

export interface Message {
  topic: string;
  integration_id: string;
  payload: string;
  encoding: string;
  qos: number;
  received_at: string;
  failure?: string;
}

export interface Refusal {
  reason: string;
  summary: string;
  topic?: string;
  clientId?: string;
  at: number;
}

export interface Watched {
  connected: boolean;
  address?: string;
  message: Message | null;
  refusal: Refusal | null;
  stream: StreamState;
  /** Nothing that comes from now on is missed, also where the stream has to come back. */
  listening: boolean;
}

interface Activity {
  kind: string;
  subject?: string;
  summary?: string;
  reason?: string;
  details?: { topic?: string; client_id?: string; connection_id?: string; messages_in?: number };
}

const HELD = 20; // of the last messages: which of them is its own is known a moment later
const CLOCKS_MS = 250; // the broker's clock and the log's differ by less

/** What happens with this credential while one looks: connects, the first message, refusals. */
export function useWatch(credential: CredentialView, enabled: boolean): Watched {
  const [messages, setMessages] = useState<Message[]>([]);
  const [first, setFirst] = useState<Message | null>(null);
  const [sent, setSent] = useState(false);
  const [messageAt, setMessageAt] = useState(0);
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const [connectedAt, setConnectedAt] = useState(0);
  const connections = useQuery({ ...connectionsQuery(credential.id, 2000), enabled });
  const stream = useLiveStream(enabled ? address(credential) : null, ({ event, data }) => {
    if (event === "message") {
      if (!first) setMessages((last) => [...last, data as Message].slice(-HELD));
      setMessageAt((last) => Math.max(last, Math.floor(Date.now() / 1000) * 1000)); // a render a second is enough
    }
    if (event !== "activity") return;
    const said = data as Activity;
    if (said.subject !== `credential:${credential.id}`) return;
    if (said.kind === "device.connected") {
      setConnectedAt(Date.now());
      if (!said.details?.connection_id) setSent(true); // of a broker that counts nothing
    }
    if (said.kind === "device.disconnected" && said.details?.messages_in) setSent(true);
    if (said.kind === "device.refused") {
      setRefusal({
        reason: said.reason ?? "",
        summary: said.summary ?? "",
        topic: said.details?.topic,
        clientId: said.details?.client_id,
        at: Date.now(),
      });
    }
  });
  const [listening, setListening] = useState(false);
  if (stream.is === "live" && !listening) setListening(true);
  const open = connections.data?.items[0];
  const connected = open !== undefined || connectedAt > 0;
  const sends = sent || open?.messages_in;
  // Another credential's message may have the same topic: its own came once its own connection had sent one, or by HTTP
  const own =
    first ??
    messages.find(
      ({ integration_id: by, received_at: at }) =>
        by === "http" || (sends && (!open || Date.parse(at) + CLOCKS_MS >= Date.parse(open.connected_at))),
    ) ??
    null;
  if (own !== first) setFirst(own);
  const mended =
    refusal && (messageAt > refusal.at || (isConnect(refusal) && (connectedAt > refusal.at || own)));
  return {
    connected,
    address: open?.address,
    message: own,
    refusal: mended ? null : refusal,
    stream,
    listening,
  };
}

const isConnect = (refusal: Refusal): boolean => refusal.reason.startsWith("connect.");

function address(credential: CredentialView): string {
  const topics = credential.device_id
    ? [`${credential.topic_prefix}/devices/${credential.device_id}/#`]
    : credential.publish.map((one) => one.replaceAll(/\{[^}]*\}/g, "+")).slice(0, 20);
  const search = new URLSearchParams([
    ["kind", "messages"],
    ["kind", "activity"],
    ...topics.map((topic) => ["topic", topic] as [string, string]),
  ]);
  return `/v1/stream?${search}`;
}
