import { ActionIcon, Button, Modal, Table, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Building2, Plus, Search, Trash2 } from "lucide-react";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { useOrganizations } from "@/api/organizations";
import { asProblem } from "@/api/problem";
import type { OrganizationView } from "@/api/schema";
import { ConfirmByName } from "@/ui/ConfirmByName";
import { CopyValue } from "@/ui/Copy";
import { Answered, Empty, ProblemAlert } from "@/ui/Feedback";
import { count } from "@/ui/format";
import css from "@/ui/List.module.css";
import { PageLink } from "@/ui/links";
import { Card, Page } from "@/ui/Page";
import { SecretOnce } from "@/ui/SecretOnce";
import { Time } from "@/ui/Time";
import { done } from "@/ui/toasts";

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
            <Organized rows={rows} />
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

const SHOWN_MOST = 200;

function Organized({ rows }: { rows: OrganizationView[] }) {
  const [wanted, setWanted] = useState("");
  const [leaving, setLeaving] = useState<OrganizationView>();
  const words = wanted.trim().toLowerCase();
  const found = rows.filter((row) => `${row.name} ${row.id}`.toLowerCase().includes(words)).toReversed();
  return (
    <>
      <div className={css.tools}>
        <TextInput
          className={css.grow}
          aria-label="Search organizations"
          placeholder="Search by name or id"
          leftSection={<Search size={16} />}
          value={wanted}
          onChange={(event) => setWanted(event.currentTarget.value)}
        />
        <span className={css.under}>
          {found.length === rows.length
            ? count(rows.length)
            : `${count(found.length)} of ${count(rows.length)}`}
        </span>
      </div>
      <Table highlightOnHover className={css.table}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Name</Table.Th>
            <Table.Th className={css.wide}>Id</Table.Th>
            <Table.Th>Created</Table.Th>
            <Table.Th aria-label="Actions" />
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {found.slice(0, SHOWN_MOST).map((row) => (
            <Table.Tr key={row.id}>
              <Table.Td className={css.main}>
                <PageLink to="/" search={{ org: row.id }} fw={550} className="break">
                  {row.name}
                </PageLink>
              </Table.Td>
              <Table.Td className={css.wide}>
                <CopyValue text={row.id} label="id" />
              </Table.Td>
              <Table.Td className={css.tight}>
                <Time at={row.created_at} as="day" />
              </Table.Td>
              <Table.Td className={css.number}>
                <ActionIcon
                  variant="subtle"
                  color="gray"
                  size="lg"
                  aria-label={`Delete ${row.name}`}
                  onClick={() => setLeaving(row)}
                >
                  <Trash2 size={16} />
                </ActionIcon>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      {found.length === 0 && <p className={css.none}>No organization matches “{wanted}”.</p>}
      {found.length > SHOWN_MOST && (
        <p className={css.none}>
          The newest {SHOWN_MOST} of {count(found.length)}: search to see the others.
        </p>
      )}
      <Delete organization={leaving} onClose={() => setLeaving(undefined)} />
    </>
  );
}

function Delete({ organization, onClose }: { organization?: OrganizationView; onClose: () => void }) {
  const client = useQueryClient();
  const deleting = useMutation({
    mutationFn: (id: string) => ok(api.DELETE("/v1/organizations/{id}", { params: { path: { id } } })),
    onSuccess: () => {
      done(`${organization?.name} is deleted`);
      return client.invalidateQueries({ queryKey: ["session", "organizations"] });
    },
  });
  return (
    <ConfirmByName
      opened={organization !== undefined}
      onClose={onClose}
      title="Delete this organization?"
      name={organization?.name}
      action="Delete"
      run={() => deleting.mutateAsync(organization?.id ?? "")}
    >
      Its API keys, credentials and integrations end at once, and its devices are disconnected. It cannot be
      taken back.
    </ConfirmByName>
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
