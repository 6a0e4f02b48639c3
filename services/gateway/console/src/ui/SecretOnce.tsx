import { Button, Checkbox } from "@mantine/core";
import { Download, Eye, EyeOff, QrCode } from "lucide-react";
import { type ReactNode, useState } from "react";
import { CopyButton } from "./Copy";
import { download } from "./download";
import { masked } from "./format";
import css from "./SecretOnce.module.css";
import { Unsaved } from "./Unsaved";

interface SecretOnceProps {
  label: string;
  secret: string;
  /** Without ending. */
  filename: string;
  /** What is downloaded as `.env` and as JSON, by name; by default the secret alone. */
  values?: Record<string, string | number>;
  /** The same as a picture; like the secret, not shown before it is asked for. */
  qr?: ReactNode;
  /** Absent: nothing waits for the person. */
  onSaved?: () => void;
  /** They left without having saved it. */
  onLeave?: () => void;
  savedLabel?: string;
  children?: ReactNode;
}

/** A secret that is shown this once: hidden until asked for, copied, downloaded; goes when it was saved. */
export function SecretOnce({
  label,
  secret,
  filename,
  values,
  qr,
  onSaved,
  onLeave,
  savedLabel = "Done",
  children,
}: SecretOnceProps) {
  const [shown, setShown] = useState(false);
  const [pictured, setPictured] = useState(false);
  const [saved, setSaved] = useState(false);
  const all = values ?? { API_KEY: secret };
  const env = Object.entries(all)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
  const name = label.replace(/^[A-Z](?=[a-z])/, (first) => first.toLowerCase()); // of "API key" nothing is lowered
  return (
    <div className={css.box}>
      {children && <p className={css.words}>{children}</p>}
      <div>
        <div className={css.label}>{label}</div>
        <div className={css.secret}>
          <code className={css.code} data-testid="secret">
            {shown ? secret : masked(secret)}
          </code>
        </div>
      </div>
      <div className={css.buttons}>
        <Button
          size="xs"
          variant="default"
          leftSection={shown ? <EyeOff size={15} /> : <Eye size={15} />}
          onClick={() => setShown(!shown)}
        >
          {shown ? "Hide" : "Show"}
        </Button>
        <CopyButton text={secret}>{`Copy ${name}`}</CopyButton>
        <Button
          size="xs"
          variant="default"
          leftSection={<Download size={15} />}
          onClick={() => download(`${filename}.env`, env)}
        >
          .env
        </Button>
        <Button
          size="xs"
          variant="default"
          leftSection={<Download size={15} />}
          onClick={() => download(`${filename}.json`, `${JSON.stringify(all, null, 2)}\n`)}
        >
          JSON
        </Button>
        {qr && (
          <Button
            size="xs"
            variant="default"
            leftSection={<QrCode size={15} />}
            aria-expanded={pictured}
            onClick={() => setPictured(!pictured)}
          >
            QR code
          </Button>
        )}
      </div>
      {pictured && qr}
      {onSaved && (
        <div className={css.end}>
          <Checkbox
            label="I saved it"
            checked={saved}
            onChange={(event) => setSaved(event.currentTarget.checked)}
          />
          <Button disabled={!saved} onClick={onSaved}>
            {savedLabel}
          </Button>
        </div>
      )}
      {onSaved && !saved && (
        <Unsaved title={`${label}: not saved yet`} onLeave={onLeave}>
          It is shown here, this once. If you leave, nobody can show it to you again.
        </Unsaved>
      )}
    </div>
  );
}
