import { Drawer } from "@mantine/core";
import type { ReactNode } from "react";

/** The menu on a narrow window. */
export default function MenuDrawer({ onClose, children }: { onClose: () => void; children: ReactNode }) {
  return (
    <Drawer
      opened
      onClose={onClose}
      size={280}
      padding={0}
      withCloseButton={false}
      attributes={{ content: { "aria-label": "Menu" } }}
    >
      {children}
    </Drawer>
  );
}
