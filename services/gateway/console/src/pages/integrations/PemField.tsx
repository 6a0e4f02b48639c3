import { Button, FileButton, Textarea } from "@mantine/core";
import { Upload } from "lucide-react";
import css from "./Integrations.module.css";

interface PemFieldProps {
  label: string;
  description?: string;
  value: string;
  onChange: (value: string) => void;
  error?: string;
  placeholder?: string;
  /** A key: its lines are not shown once it is there. */
  secret?: boolean;
}

const BYTES_MAX = 64 * 1024;

/** A certificate or a key: pasted, or read from a file by this browser. */
export function PemField({ label, description, value, onChange, error, placeholder, secret }: PemFieldProps) {
  return (
    <div className={css.pem}>
      <Textarea
        label={label}
        description={description}
        inputWrapperOrder={["label", "input", "description", "error"]}
        placeholder={placeholder ?? "-----BEGIN …"}
        rows={3}
        value={value}
        onChange={(event) => onChange(event.currentTarget.value)}
        error={error}
        spellCheck={false}
        autoComplete="off"
        classNames={{ input: secret && value ? css.veiled : css.code }}
      />
      <FileButton
        accept=".pem,.crt,.cer,.key"
        onChange={(file) => {
          if (file && file.size <= BYTES_MAX) void file.text().then(onChange);
        }}
      >
        {(props) => (
          <Button
            {...props}
            size="compact-sm"
            variant="subtle"
            leftSection={<Upload size={14} />}
            className={css.upload}
          >
            From a file
          </Button>
        )}
      </FileButton>
    </div>
  );
}
