import { Button, Menu } from "@mantine/core";
import { Ellipsis } from "lucide-react";
import type { ReactNode } from "react";

/** What else can be done, behind a page's main action; `children` are `Menu.Item`s. */
export function More({ children }: { children: ReactNode }) {
  return (
    // the first item has the focus at once, as a menu's has (ARIA APG): else Enter, End and Tab do nothing
    <Menu position="bottom-end" width={190} withInitialFocusPlaceholder={false}>
      <Menu.Target>
        <Button variant="default" aria-label="More actions" px="xs">
          <Ellipsis size={18} />
        </Button>
      </Menu.Target>
      <Menu.Dropdown>{children}</Menu.Dropdown>
    </Menu>
  );
}
