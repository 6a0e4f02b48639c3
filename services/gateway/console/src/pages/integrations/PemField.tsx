import { Button, FileButton, Textarea } from "@mantine/core";
import { Upload } from "lucide-react";
import { useRef, useState } from "react";
import css from "./Integrations.module.css";
import { pemIn, readPem } from "./pem";

interface PemFieldProps {
  label: string;
  description?: string;
  value: string;
  onChange: (value: string) => void;
  error?: string;
  wants: "certificate" | "private key";
  placeholder?: string;
  /** A key: its lines are not shown once it is there. */
  secret?: boolean;
}

/** A certificate or a key: pasted, or read from a file by this browser. */
export function PemField(props: PemFieldProps) {
  const { label, description, value, onChange, error, wants, placeholder, secret } = props;
  const [wrong, setWrong] = useState<string>();
  const again = useRef<() => void>(null);
  const take = (text: string) => {
    setWrong(undefined);
    onChange(text);
  };
  const read = async (file: File | null) => {
    if (!file) return;
    try {
      take(await readPem(file));
    } catch (failure) {
      setWrong((failure as Error).message);
    }
    again.current?.();
  };
  const { words } = pemIn(value);
  const said = value.trim() ? plainlyWrong(words, wants) : undefined;
  return (
    <div className={css.pem}>
      <Textarea
        label={label}
        description={description}
        inputWrapperOrder={["label", "input", "description", "error"]}
        placeholder={placeholder ?? "-----BEGIN …"}
        rows={3}
        value={value}
        onChange={(event) => take(event.currentTarget.value)}
        error={wrong ?? said ?? error}
        spellCheck={false}
        autoComplete="off"
        classNames={{ input: secret && value ? css.veiled : css.code }}
      />
      <div className={css.pemFoot}>
        <FileButton resetRef={again} onChange={(file) => void read(file)}>
          {(props) => (
            <Button
              {...props}
              size="compact-sm"
              variant="subtle"
              leftSection={<Upload size={14} />}
              aria-label={`${label} from a file`}
            >
              From a file
            </Button>
          )}
        </FileButton>
        {words && <span className={css.address}>Holds {words}.</span>}
      </div>
    </div>
  );
}

/** What needs no API to be seen. */
function plainlyWrong(words: string, wants: string): string | undefined {
  if (!words) return "This is no PEM: it begins with -----BEGIN … and ends with -----END …";
  return words.includes(wants) ? undefined : `This holds ${words}: the ${wants} belongs here.`;
}
