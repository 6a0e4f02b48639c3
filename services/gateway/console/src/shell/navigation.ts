import {
  Activity,
  Cable,
  ChartNoAxesGantt,
  Cpu,
  Database,
  Gauge,
  History,
  KeyRound,
  KeySquare,
  MailWarning,
  Radio,
  Siren,
  Webhook,
} from "lucide-react";
import type { ComponentType } from "react";
import type { Scope } from "@/api/session";

export interface Place {
  to: string;
  label: string;
  icon: ComponentType<{ size?: number; className?: string }>;
  /** Shown to keys with one of these; absent for others. */
  scopes: Scope[];
  /** Further words by which Ctrl-K finds it. */
  words?: string;
}

export interface Group {
  label: string | null;
  places: Place[];
}

/** What the menu and Ctrl-K show, in this order. A page that is added adds a line. */
export const NAVIGATION: Group[] = [
  {
    label: null,
    places: [{ to: "/", label: "Overview", icon: Gauge, scopes: [], words: "home connection host port" }],
  },
  {
    label: "Data",
    places: [
      {
        to: "/devices",
        label: "Devices",
        icon: Cpu,
        scopes: ["read"],
        words: "list tags online presence charts",
      },
      {
        to: "/live",
        label: "Live messages",
        icon: Radio,
        scopes: ["read"],
        words: "tail stream topics tree payload hex cbor",
      },
    ],
  },
  {
    label: "Connect",
    places: [
      {
        to: "/credentials",
        label: "Credentials",
        icon: KeyRound,
        scopes: ["read", "manage_credentials"],
        words: "mqtt password user acl device rotate revoke",
      },
      {
        to: "/integrations",
        label: "Integrations",
        icon: Cable,
        scopes: ["read", "manage_integrations"],
        words: "broker link bridge aws azure hivemq emqx mosquitto decoder publish subscribe",
      },
    ],
  },
  {
    label: "Operate",
    places: [
      {
        to: "/alerts",
        label: "Alerts",
        icon: Siren,
        scopes: ["read", "manage_alerts"],
        words: "rules threshold offline acknowledge",
      },
      {
        to: "/webhooks",
        label: "Webhooks",
        icon: Webhook,
        scopes: ["read", "manage_integrations"],
        words: "deliveries callback http signature",
      },
      {
        to: "/dead-letters",
        label: "Dead letters",
        icon: MailWarning,
        scopes: ["read"],
        words: "unreadable decoder retry discard failed",
      },
      {
        to: "/redecode",
        label: "Redecode",
        icon: History,
        scopes: ["read"],
        words: "history decoder again replay dry run diff",
      },
      {
        to: "/activity",
        label: "Activity",
        icon: Activity,
        scopes: ["read"],
        words: "log audit history refused who",
      },
    ],
  },
  {
    label: "Organization",
    places: [
      { to: "/api-keys", label: "API keys", icon: KeySquare, scopes: ["admin"], words: "token secret scope" },
      {
        to: "/limits",
        label: "Limits and usage",
        icon: ChartNoAxesGantt,
        scopes: ["read"],
        words: "quota plan rate connections statistics charts bytes traffic",
      },
      {
        to: "/data",
        label: "Stored data",
        icon: Database,
        scopes: ["read"],
        words: "retention storage erase forget delete gdpr how long size",
      },
    ],
  },
];

/** The page of an address: `/devices/boiler-7` is one of Devices. */
export function placeOf(path: string): Place | undefined {
  return NAVIGATION.flatMap((group) => group.places).find(
    ({ to }) => path === to || (to !== "/" && path.startsWith(`${to}/`)),
  );
}
