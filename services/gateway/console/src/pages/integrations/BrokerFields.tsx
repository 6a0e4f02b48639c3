import { Anchor, Checkbox, PasswordInput, Select, TextInput } from "@mantine/core";
import type { Problem } from "@/api/problem";
import type { Preset } from "@/api/schema";
import { ALLOWED, AUTHS, type BrokerForm, isTls, isWebSocket, PROTOCOLS, takesCertificate } from "./form";
import css from "./Integrations.module.css";
import { PemField } from "./PemField";

interface FieldsProps {
  form: BrokerForm;
  change: (change: Partial<BrokerForm>) => void;
  problem: Problem | null;
  preset?: Preset;
  /** Names of secrets that are stored already. */
  stored?: string[];
}

/** Address, proof, TLS. What a preset knows about where a value is found stands under its field. */
export function BrokerFields({ form, change, problem, preset, stored = [] }: FieldsProps) {
  const known = (path: string) => preset?.fields.find((field) => field.path === path);
  const field = (name: keyof BrokerForm & string, path: string, label: string) => {
    const hint = known(path);
    return {
      label: hint?.label ?? label,
      description: hint?.where,
      placeholder: hint?.example ?? undefined,
      value: form[name] as string,
      onChange: (event: { currentTarget: { value: string } }) =>
        change({ [name]: event.currentTarget.value }),
      error: problem?.of(path),
      inputWrapperOrder: ["label", "input", "description", "error"] as (
        | "label"
        | "input"
        | "description"
        | "error"
      )[],
    };
  };
  const kept = (name: string) => (stored.includes(name) ? "Stored; leave it empty to keep it" : undefined);
  const defaultPort = PROTOCOLS.find((each) => each.value === form.protocol)?.port;
  return (
    <>
      <div className={css.fields}>
        <Select
          label="Who connects proves itself by"
          data={AUTHS}
          value={form.auth}
          onChange={(auth) => {
            const chosen = auth as BrokerForm["auth"];
            const protocol = ALLOWED[chosen].includes(form.protocol) ? form.protocol : ALLOWED[chosen][0];
            change({ auth: chosen, protocol });
          }}
        />
        <Select
          label="Protocol"
          data={PROTOCOLS.filter((each) => ALLOWED[form.auth].includes(each.value))}
          value={form.protocol}
          onChange={(protocol) => change({ protocol: protocol as BrokerForm["protocol"], port: "" })}
          error={problem?.of("settings.protocol")}
        />
        <TextInput
          {...field("host", "settings.host", "Host")}
          className={css.wide}
          required
          withAsterisk={false}
        />
        <TextInput
          {...field("port", "settings.port", "Port")}
          placeholder={String(defaultPort)}
          inputMode="numeric"
        />
        {isWebSocket(form) && <TextInput {...field("path", "settings.path", "Path")} placeholder="/mqtt" />}
        {form.auth !== "azure_sas" && (
          <Select
            label="MQTT version"
            data={["5", "3.1.1"]}
            value={form.mqtt_version}
            onChange={(version) => change({ mqtt_version: version as BrokerForm["mqtt_version"] })}
          />
        )}
        {form.auth === "password" && (
          <>
            <TextInput {...field("username", "settings.username", "User name")} autoComplete="off" />
            <PasswordInput
              {...field("password", "settings.password", "Password")}
              autoComplete="new-password"
              placeholder={kept("password")}
            />
          </>
        )}
        {form.auth === "azure_sas" && (
          <>
            <TextInput {...field("device_id", "settings.device_id", "Device id")} />
            <PasswordInput
              {...field("shared_access_key", "settings.shared_access_key", "Shared access key")}
              autoComplete="new-password"
              placeholder={kept("shared_access_key")}
            />
          </>
        )}
        {form.auth !== "azure_sas" && (
          <TextInput {...field("client_id", "settings.client_id", "Client id")} />
        )}
        <TextInput
          {...field("topic_prefix", "settings.topic_prefix", "Topic prefix")}
          description="What stands before devices/… in this broker's topics, if anything does"
        />
      </div>
      {isTls(form) && (
        <div className={css.fields}>
          {takesCertificate(form) && (
            <>
              <PemField
                {...pem("client_certificate", "settings.tls.client_certificate", "Client certificate")}
              />
              <PemField
                {...pem("client_key", "settings.tls.client_key", "Private key")}
                placeholder={kept("tls.client_key") ?? kept("client_key")}
                secret
              />
            </>
          )}
          {form.auth !== "aws_iot" && (
            <PemField {...pem("ca", "settings.tls.ca", "Certificate authority, if it is your own")} />
          )}
          <TextInput
            {...field("server_name", "settings.tls.server_name", "Server name")}
            description="If the certificate is for another name than the host"
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
      {preset && (
        <ul className={css.notes}>
          {preset.notes.map((note) => (
            <li key={note}>{note}</li>
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

  function pem(name: "ca" | "client_certificate" | "client_key", path: string, label: string) {
    const hint = known(path);
    return {
      label: hint?.label ?? label,
      description: hint?.where,
      value: form[name],
      onChange: (value: string) => change({ [name]: value }),
      error: problem?.of(path),
    };
  }
}
