import { Button, Modal, Table, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Building2, Plus } from "lucide-react";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { useOrganizations } from "@/api/organizations";
import { asProblem } from "@/api/problem";
import { CopyValue } from "@/ui/Copy";
import { Answered, Empty, ProblemAlert } from "@/ui/Feedback";
import { PageLink } from "@/ui/links";
import { Card, Page } from "@/ui/Page";
import { SecretOnce } from "@/ui/SecretOnce";
import { Time } from "@/ui/Time";

/** The operator's: which organization this tab is about. */
export function Organizations() {
  const query = useOrganizations(true);
  const [opened, { open, close }] = useDisclosure(false);
  const create = (
    <Button leftSection={<Plus size={16} />} onClick={open}>
      New organization
    </Button>
  );
  const rows = query.data ?? [];
  return (
    <Page
      title="Organizations"
      about="You are signed in with the admin key. Choose an organization to see its devices and to act for it."
      actions={rows.length > 0 && create}
    >
      <Card flush label="Organizations">
        <Answered query={query}>
          {rows.length === 0 ? (
            <Empty icon={Building2} title="No organization yet" action={create}>
              An organization is a tenant: its devices, messages and keys are its own.
            </Empty>
          ) : (
            <Table highlightOnHover>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Name</Table.Th>
                  <Table.Th>Id</Table.Th>
                  <Table.Th>Created</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {rows.map((row) => (
                  <Table.Tr key={row.id}>
                    <Table.Td>
                      <PageLink to="/" search={{ org: row.id }} fw={550}>
                        {row.name}
                      </PageLink>
                    </Table.Td>
                    <Table.Td>
                      <CopyValue text={row.id} label="id" />
                    </Table.Td>
                    <Table.Td>
                      <Time at={row.created_at} as="day" />
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          )}
        </Answered>
      </Card>
      <Modal
        opened={opened}
        onClose={close}
        title="New organization"
        closeOnClickOutside={false}
        closeButtonProps={{ "aria-label": "Close" }}
      >
        <NewOrganization onClose={close} />
      </Modal>
    </Page>
  );
}

function NewOrganization({ onClose }: { onClose: () => void }) {
  const client = useQueryClient();
  const [name, setName] = useState("");
  const creating = useMutation({
    mutationFn: (wanted: string) => ok(api.POST("/v1/organizations", { body: { name: wanted } })),
    meta: { shown: true },
    onSuccess: () => client.invalidateQueries({ queryKey: ["session", "organizations"] }),
  });
  if (creating.data) {
    const { id, api_key } = creating.data;
    return (
      <SecretOnce label="API key" secret={api_key.secret} filename={`${id}-api-key`} onSaved={onClose}>
        The first API key of {creating.data.name}. It is shown this once.
      </SecretOnce>
    );
  }
  const submit = (event: FormEvent) => {
    event.preventDefault();
    creating.mutate(name);
  };
  const problem = creating.error && asProblem(creating.error);
  return (
    <form onSubmit={submit}>
      <TextInput
        label="Name"
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        maxLength={100}
        required
        withAsterisk={false}
        data-autofocus
        error={problem?.of("name")}
      />
      {problem && !problem.of("name") && <ProblemAlert error={problem} />}
      <Button type="submit" mt="lg" fullWidth loading={creating.isPending} disabled={!name.trim()}>
        Create
      </Button>
    </form>
  );
}
