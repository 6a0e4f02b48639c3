import { TextInput, type TextInputProps } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useEffect, useRef, useState } from "react";

interface SettlingProps extends Omit<TextInputProps, "value" | "onChange"> {
  value: string | undefined;
  /** Called a moment after the last letter, at once by Enter; undefined for nothing. */
  settle: (value: string | undefined) => void;
}

const SETTLES_MS = 350;

/** A filter that takes effect while one types, and follows where something else changes it. */
export function SettlingInput({ value = "", settle, ...rest }: SettlingProps) {
  const [typed, setTyped] = useState(value);
  const settled = useRef(value);
  useEffect(() => {
    if (value === settled.current) return;
    settled.current = value;
    setTyped(value);
  }, [value]);
  const take = (next: string) => {
    settled.current = next.trim();
    settle(settled.current || undefined);
  };
  const later = useDebouncedCallback(take, SETTLES_MS);
  return (
    <TextInput
      {...rest}
      value={typed}
      onChange={(event) => {
        setTyped(event.currentTarget.value);
        later(event.currentTarget.value);
      }}
      onKeyDown={(event) => {
        if (event.key === "Enter") take(typed);
      }}
    />
  );
}
