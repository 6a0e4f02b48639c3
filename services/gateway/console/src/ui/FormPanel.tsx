import { Tabs } from "@mantine/core";
import { type ReactNode, useRef } from "react";

interface FormPanelProps {
  value: string;
  /** Which tab is shown. */
  shown: string | undefined;
  className?: string;
  children: ReactNode;
}

/** A tab in which one types: what was typed stays while another tab is looked at; hidden it asks and hears nothing. */
export function FormPanel({ value, shown, className, children }: FormPanelProps) {
  const seen = useRef(false);
  if (value === shown) seen.current = true;
  return (
    <Tabs.Panel value={value} className={className} pt={className ? undefined : "lg"} keepMounted>
      {seen.current && children}
    </Tabs.Panel>
  );
}
