import { Button, Group, Modal, Text } from "@mantine/core";
import { useBlocker } from "@tanstack/react-router";
import type { ReactNode } from "react";

interface UnsavedProps {
  title: string;
  /** What is lost by leaving. */
  children: ReactNode;
  stay?: string;
  /** Whoever leaves all the same: what was held for them goes. */
  onLeave?: () => void;
}

/** While it is there, whoever leaves the page is asked: within the console in words of ours, else by the browser. */
export function Unsaved({ title, children, stay = "Stay here", onLeave }: UnsavedProps) {
  const blocker = useBlocker({
    // another tab of the same page is no leaving; without a session there is nothing to stay for
    shouldBlockFn: ({ current, next }) =>
      current.pathname !== next.pathname && !next.pathname.endsWith("/sign-in"),
    enableBeforeUnload: true,
    withResolver: true,
  });
  const leave = () => {
    onLeave?.();
    blocker.proceed?.();
  };
  return (
    <Modal
      opened={blocker.status === "blocked"}
      onClose={() => blocker.reset?.()}
      title={title}
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <Text size="sm">{children}</Text>
      <Group mt="lg" justify="flex-end">
        <Button variant="default" onClick={leave}>
          Leave without it
        </Button>
        <Button data-autofocus onClick={() => blocker.reset?.()}>
          {stay}
        </Button>
      </Group>
    </Modal>
  );
}
