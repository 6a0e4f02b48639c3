import { Anchor, Checkbox, PasswordInput, Select, TextInput } from "@mantine/core";
import type { Problem } from "@/api/problem";
import type { Preset } from "@/api/schema";
import { FieldWords } from "./FieldWords";
import {
  ALLOWED,
  AUTHS,
  type BrokerForm,
  fromPasted,
  isTls,
  isWebSocket,
  PROTOCOLS,
  takesCertificate,
} from "./form";
import css from "./Integrations.module.css";
import { PemField } from "./PemField";
import { pemIn } from "./pem";

interface FieldsProps {
  form: BrokerForm;
  change: (change: Partial<BrokerForm>) => void;
  problem: Problem | null;
  preset?: Preset;
  /** Names of secrets that are stored already. */
  stored?: readonly string[];
}

type Order = ("label" | "input" | "description" | "error")[];
const BELOW: Order = ["label", "input", "description", "error"];

/** Address, sign-in, TLS. What a preset knows about where a value is found stands under its field. */
export function BrokerFields({ form, change, problem, preset, stored = [] }: FieldsProps) {
  const known = (path: string) => preset?.fields.find((field) => field.path === path);
  const field = (name: keyof BrokerForm & string, label: string, description?: string) => {
    const path = `settings.${name}`;
    const hint = known(path);
    return {
      label: hint?.label ?? label,
      description: hint?.where ?? description,
      placeholder: hint?.example ?? undefined,
      value: form[name] as string,
      onChange: (event: { currentTarget: { value: string } }) =>
        change({ [name]: event.currentTarget.value }),
      error: problem?.of(path),
      inputWrapperOrder: BELOW,
    };
  };
  const kept = (name: string) => (stored.includes(name) ? "Stored; leave it empty to keep it" : undefined);
  const secret = (name: "password" | "shared_access_key", label: string) => {
    const { placeholder, ...rest } = field(name, label);
    return { ...rest, placeholder: kept(name) ?? placeholder, autoComplete: "new-password" };
  };
  const portOf = (protocol: string) => preset?.ports?.[protocol];
  const usualPort = portOf(form.protocol) ?? PROTOCOLS.find((each) => each.value === form.protocol)?.port;
  const protocolTo = (protocol: BrokerForm["protocol"]) => ({
    protocol,
    port: String(portOf(protocol) ?? ""),
    path: "",
  });
  const azure = form.auth === "azure_sas";
  return (
    <>
      <div className={css.fields}>
        <Select
          label="Sign in with"
          data={AUTHS}
          allowDeselect={false}
          value={form.auth}
          onChange={(auth) => {
            const chosen = auth as BrokerForm["auth"];
            const fits = ALLOWED[chosen].includes(form.protocol);
            change({ auth: chosen, ...(fits ? {} : protocolTo(ALLOWED[chosen][0] ?? "mqtts")) });
          }}
        />
        <Select
          label="Protocol"
          data={PROTOCOLS.filter((each) => ALLOWED[form.auth].includes(each.value))}
          allowDeselect={false}
          value={form.protocol}
          onChange={(protocol) => change(protocolTo(protocol as BrokerForm["protocol"]))}
          error={problem?.of("settings.protocol")}
        />
        <TextInput
          {...field(
            "host",
            "Host",
            "A name or an address; a whole address (mqtts://…) fills the other fields",
          )}
          onChange={(event) => change(fromPasted(event.currentTarget.value, form))}
          description={
            azure
              ? `${known("settings.host")?.where ?? "The hub's host name"}. A whole connection string may be pasted here.`
              : (known("settings.host")?.where ??
                "A name or an address; a whole address (mqtts://…) fills the other fields, too")
          }
          className={css.wide}
          required
          withAsterisk={false}
        />
        <TextInput
          {...field("port", "Port")}
          description={form.auth === "aws_iot" ? "8883, or 443 where that is blocked" : undefined}
          placeholder={String(usualPort)}
          inputMode="numeric"
        />
        {isWebSocket(form) && (
          <TextInput {...field("path", "Path")} placeholder={azure ? "/$iothub/websocket" : "/mqtt"} />
        )}
        {!azure && (
          <Select
            label="MQTT version"
            data={["5", "3.1.1"]}
            allowDeselect={false}
            value={form.mqtt_version}
            onChange={(version) => change({ mqtt_version: version as BrokerForm["mqtt_version"] })}
            error={problem?.of("settings.mqtt_version")}
          />
        )}
        {form.auth === "password" && (
          <>
            <TextInput {...field("username", "User name")} autoComplete="off" />
            <PasswordInput {...secret("password", "Password")} />
          </>
        )}
        {azure && (
          <>
            <TextInput {...field("device_id", "Device id")} />
            <PasswordInput {...secret("shared_access_key", "Shared access key")} />
          </>
        )}
        {!azure && (
          <TextInput
            {...field("client_id", "Client id", "Used by nobody else; made by itself where it is left empty")}
          />
        )}
        <TextInput
          {...field("topic_prefix", "Topic prefix", "What stands before the device in this broker's topics")}
          placeholder="plant/line-4"
        />
      </div>
      {isTls(form) && (
        <div className={css.fields}>
          {form.auth === "password" && (
            <Checkbox
              className={css.wide}
              label="Show a client certificate, too"
              description="Where the broker demands one beside the user name"
              checked={form.with_certificate}
              onChange={(event) => change({ with_certificate: event.currentTarget.checked })}
            />
          )}
          {takesCertificate(form) && (
            <>
              <PemField
                {...pem("client_certificate", "Client certificate")}
                onChange={(text) => {
                  const { certificates, key } = pemIn(text);
                  change(
                    certificates && key
                      ? { client_certificate: certificates, client_key: key }
                      : { client_certificate: text },
                  );
                }}
              />
              <PemField
                {...pem("client_key", "Private key")}
                wants="private key"
                placeholder={kept("client_key")}
                secret
              />
            </>
          )}
          <PemField {...pem("ca", "Certificate authority, if it is your own")} />
          <TextInput
            {...field("server_name", "Server name")}
            description="If the broker's certificate is for another name than the host"
            error={problem?.of("settings.tls.server_name")}
          />
          <Checkbox
            className={css.wide}
            label="Check the broker's certificate"
            description="Without it, whoever stands between reads and writes along."
            checked={form.verify}
            onChange={(event) => change({ verify: event.currentTarget.checked })}
          />
        </div>
      )}
      <details className={css.help} open={extras.some((path) => problem?.of(path))}>
        <summary>More settings</summary>
        <div className={css.more}>
          <TextInput
            {...field(
              "keepalive_s",
              "Keep alive, in seconds",
              "How often a silent connection is looked after",
            )}
            placeholder="30"
            inputMode="numeric"
          />
          {isTls(form) && (
            <TextInput
              {...field("alpn", "ALPN", "Names that the TLS handshake offers, with commas between")}
              error={problem?.of("settings.tls.alpn")}
            />
          )}
          {azure && (
            <>
              <TextInput
                {...field("hub", "The hub's own name", "Only where the host is a gateway or a proxy")}
                placeholder="contoso.azure-devices.net"
              />
              <TextInput
                {...field("token_lifetime_s", "A token lasts, in seconds", "It is renewed before")}
                placeholder="3600"
                inputMode="numeric"
              />
            </>
          )}
        </div>
      </details>
      {preset && (
        <ul className={css.notes}>
          {preset.notes.map((note) => (
            <li key={note}>
              <FieldWords text={note} />
            </li>
          ))}
          <li>
            <Anchor href={preset.documentation} target="_blank" rel="noreferrer" size="sm" underline="always">
              {preset.name}: documentation
            </Anchor>
          </li>
        </ul>
      )}
    </>
  );

  function pem(name: "ca" | "client_certificate" | "client_key", label: string) {
    const path = `settings.tls.${name}`;
    const hint = known(path);
    // That there is none at all is said of the whole.
    const missing =
      name === "client_certificate" && problem?.errors.find((each) => each.field === "settings.tls");
    return {
      label: hint?.label ?? label,
      description: hint?.where,
      wants: "certificate" as const,
      value: form[name],
      onChange: (value: string) => change({ [name]: value }),
      error: problem?.of(path) ?? (missing ? missing.detail : undefined),
    };
  }
}

const extras = ["settings.keepalive_s", "settings.tls.alpn", "settings.hub", "settings.token_lifetime_s"];
