import { Button, Menu } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Eye, EyeOff, PencilLine, Trash2 } from "lucide-react";
import { api, ok } from "@/api/client";
import type { DeviceDetail } from "@/api/schema";
import { More } from "@/ui/More";
import { done } from "@/ui/toasts";
import { Describe } from "./Describe";
import { Forget } from "./Forget";
import { described } from "./queries";

/** What may be done with a device itself: describe, hide, forget. */
export function Actions({ device }: { device: DeviceDetail }) {
  const client = useQueryClient();
  const [describing, describe] = useDisclosure(false);
  const [forgetting, forget] = useDisclosure(false);
  const name = device.name ?? device.id;
  const hiding = useMutation({
    mutationFn: (hidden: boolean) =>
      ok(api.PATCH("/v1/devices/{id}", { params: { path: { id: device.id } }, body: { hidden } })),
    onSuccess: (settings) => described(client, settings),
  });
  const hide = (hidden: boolean) =>
    hiding.mutate(hidden, {
      onSuccess: () =>
        hidden
          ? done(`${name} is hidden`, {
              words: "It is left out of the list, and goes on as before.",
              undo: () => hiding.mutate(false),
            })
          : done(`${name} is in the list again`),
    });
  return (
    <>
      <Button variant="default" leftSection={<PencilLine size={15} />} onClick={describe.open}>
        Describe
      </Button>
      <More>
        <Menu.Item
          leftSection={device.hidden ? <Eye size={15} /> : <EyeOff size={15} />}
          onClick={() => hide(!device.hidden)}
        >
          {device.hidden ? "Show in the list" : "Hide from the list"}
        </Menu.Item>
        <Menu.Item leftSection={<Trash2 size={15} />} color="var(--bad)" onClick={forget.open}>
          Forget
        </Menu.Item>
      </More>
      <Describe device={device} opened={describing} onClose={describe.close} />
      <Forget device={device} opened={forgetting} onClose={forget.close} />
    </>
  );
}
