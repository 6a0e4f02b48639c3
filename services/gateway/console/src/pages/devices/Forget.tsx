import { Text } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api, ok } from "@/api/client";
import type { DeviceDetail } from "@/api/schema";
import { ConfirmByName } from "@/ui/ConfirmByName";
import { PageLink } from "@/ui/links";
import { forgotten } from "./queries";

interface ForgetProps {
  device: DeviceDetail;
  opened: boolean;
  onClose: () => void;
}

/** Erases a device, and everything that it sent. */
export function Forget({ device, opened, onClose }: ForgetProps) {
  const client = useQueryClient();
  const forgetting = useMutation({
    mutationFn: () => ok(api.DELETE("/v1/devices/{id}", { params: { path: { id: device.id } } })),
    onSuccess: (erasure) => forgotten(client, erasure),
  });
  return (
    <ConfirmByName
      opened={opened}
      onClose={onClose}
      title="Forget this device"
      name={device.id}
      action="Forget"
      run={() => forgetting.mutateAsync()}
    >
      <Text size="sm">
        Its readings, messages, commands and dead letters are erased, and what was said of it. This is for
        good: neither a rebuild nor a restore brings them back.
      </Text>
      <Text size="sm" mt="sm">
        What it sends later makes it a new device. Where nothing shall come,{" "}
        <PageLink to="/credentials" size="sm" underline="always">
          revoke its credential
        </PageLink>{" "}
        first.
      </Text>
    </ConfirmByName>
  );
}
