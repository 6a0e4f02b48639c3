import { ActionIcon, Button } from "@mantine/core";
import { Check, Copy as CopyIcon, Eye, EyeOff } from "lucide-react";
import { type ClipboardEvent, useEffect, useState } from "react";
import css from "./Copy.module.css";
import { masked } from "./format";
import { Tip } from "./Tip";

/** Copies also where the page came by plain http from another machine, and browsers keep the clipboard shut. */
export async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = css.aside ?? "";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

function useCopied(): [boolean, (text: string) => void] {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = window.setTimeout(() => setCopied(false), 1600);
    return () => window.clearTimeout(timer);
  }, [copied]);
  return [copied, (text) => void copy(text).then(setCopied)];
}

/** An icon that copies; `label` names what. */
export function CopyIconButton({ text, label }: { text: string; label: string }) {
  const [copied, run] = useCopied();
  return (
    <Tip label={copied ? "Copied" : `Copy ${label}`}>
      <ActionIcon
        variant="subtle"
        color="gray"
        size="md"
        aria-label={`Copy ${label}`}
        onClick={() => run(text)}
      >
        {copied ? <Check size={16} aria-hidden /> : <CopyIcon size={16} aria-hidden />}
        <span className={css.aside} aria-live="polite">
          {copied ? "Copied" : ""}
        </span>
      </ActionIcon>
    </Tip>
  );
}

/** The same as a button with words. */
export function CopyButton({ text, children = "Copy" }: { text: string; children?: string }) {
  const [copied, run] = useCopied();
  const icon = copied ? <Check size={15} aria-hidden /> : <CopyIcon size={15} aria-hidden />;
  return (
    <Button variant="default" size="xs" leftSection={icon} onClick={() => run(text)}>
      {copied ? "Copied" : children}
    </Button>
  );
}

/** A value in one line that can be copied: addresses, ids, topics. */
export function CopyValue({ text, label }: { text: string; label: string }) {
  return (
    <span className={css.value}>
      <code className={css.code} title={text}>
        {text}
      </code>
      <CopyIconButton text={text} label={label} />
    </span>
  );
}

interface CodeProps {
  code: string;
  label: string;
  /** A secret within the code: hidden until asked for, and copied as it is. */
  secret?: string;
}

/** Lines of code with a button that copies them. */
export function CodeBlock({ code, label, secret }: CodeProps) {
  const [shown, setShown] = useState(false);
  const hides = secret !== undefined && !shown;
  // What is selected by hand is copied whole, too
  const onCopy = (event: ClipboardEvent) => {
    const selected = window.getSelection()?.toString() ?? "";
    if (!hides || !selected.includes(masked(secret))) return;
    event.clipboardData.setData("text/plain", selected.replaceAll(masked(secret), secret));
    event.preventDefault();
  };
  return (
    <div className={css.block}>
      <div className={css.corner}>
        {secret !== undefined && (
          <Button
            variant="default"
            size="xs"
            leftSection={shown ? <EyeOff size={15} aria-hidden /> : <Eye size={15} aria-hidden />}
            onClick={() => setShown(!shown)}
          >
            {shown ? "Hide the password" : "Show the password"}
          </Button>
        )}
        <CopyButton text={code} />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <section className={css.scroll} tabIndex={0} aria-label={label} onCopy={onCopy}>
        <pre className={`${css.pre} ${secret === undefined ? "" : css.below}`}>
          <code>{hides ? code.replaceAll(secret, masked(secret)) : code}</code>
        </pre>
      </section>
    </div>
  );
}
