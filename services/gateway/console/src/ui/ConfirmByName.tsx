import { Button, Group, Modal, TextInput } from "@mantine/core";
import { type FormEvent, type ReactNode, useState } from "react";

interface ConfirmProps {
  opened: boolean;
  onClose: () => void;
  title: string;
  /** What has to be typed; absent: a click is enough. */
  name?: string;
  action: string;
  run: () => Promise<unknown>;
  children: ReactNode;
}

/** Asks before what cannot be taken back; for what hurts, the thing's name has to be typed. */
export function ConfirmByName(props: ConfirmProps) {
  return (
    <Modal
      opened={props.opened}
      onClose={props.onClose}
      title={props.title}
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <ConfirmForm {...props} />
    </Modal>
  );
}

function ConfirmForm({ onClose, name, action, run, children }: ConfirmProps) {
  const [typed, setTyped] = useState("");
  const [running, setRunning] = useState(false);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setRunning(true);
    run()
      .then(onClose)
      .catch(() => undefined) // its mutation has said what went wrong
      .finally(() => setRunning(false));
  };
  return (
    <form onSubmit={submit}>
      {children}
      {name !== undefined && (
        <TextInput
          mt="md"
          label={
            <>
              Type <strong>{name}</strong> to confirm
            </>
          }
          aria-label={`Type ${name} to confirm`}
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
          autoComplete="off"
          data-autofocus
        />
      )}
      <Group mt="lg" justify="flex-end">
        <Button variant="default" onClick={onClose}>
          Cancel
        </Button>
        <Button
          type="submit"
          color="red"
          loading={running}
          disabled={name !== undefined && typed.trim() !== name}
        >
          {action}
        </Button>
      </Group>
    </form>
  );
}
