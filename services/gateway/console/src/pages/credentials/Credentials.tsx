import { Button, Table, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { KeyRound, Plus, Search } from "lucide-react";
import { useMemo, useState } from "react";
import type { CredentialView } from "@/api/schema";
import { useSession } from "@/api/session";
import { Answered, Empty } from "@/ui/Feedback";
import { PageLink } from "@/ui/links";
import { Card, Page } from "@/ui/Page";
import { Time } from "@/ui/Time";
import { CredentialState } from "./CredentialState";
import css from "./Credentials.module.css";
import { NewCredential } from "./NewCredential";
import { credentialsQuery } from "./queries";

export function Credentials() {
  const session = useSession();
  const manages = session.can("manage_credentials");
  const query = useQuery(credentialsQuery);
  const opened = useSearch({ from: "/signed/credentials" }).new === true;
  const navigate = useNavigate({ from: "/credentials" });
  const setOpened = (wanted: boolean) =>
    void navigate({ search: { new: wanted || undefined }, replace: true });
  const [wanted, setWanted] = useState("");
  const rows = useMemo(() => found(query.data ?? [], wanted), [query.data, wanted]);
  const create = manages && (
    <Button leftSection={<Plus size={16} />} onClick={() => setOpened(true)}>
      New credential
    </Button>
  );
  return (
    <Page
      title="Credentials"
      about="What a device connects with: a user name, a password, and the topics that it may use."
      actions={query.data && query.data.length > 0 && create}
    >
      <Card flush label="Credentials">
        <Answered query={query}>
          {query.data?.length === 0 ? (
            <Empty icon={KeyRound} title="No credentials yet" action={create}>
              {manages
                ? "Create one for your first device: a click, and you have all that it needs to connect."
                : "Somebody whose key has the scope manage_credentials can create one."}
            </Empty>
          ) : (
            <>
              <div className={css.tools}>
                <TextInput
                  aria-label="Search credentials"
                  placeholder="Search by name, device or id"
                  leftSection={<Search size={16} />}
                  value={wanted}
                  onChange={(event) => setWanted(event.currentTarget.value)}
                  className={css.search}
                />
                <span className={css.count}>
                  {rows.length === query.data?.length
                    ? rows.length
                    : `${rows.length} of ${query.data?.length}`}
                </span>
              </div>
              <CredentialsTable rows={rows} />
              {rows.length === 0 && <p className={css.none}>No credential matches “{wanted}”.</p>}
            </>
          )}
        </Answered>
      </Card>
      {manages && <NewCredential opened={opened} onClose={() => setOpened(false)} />}
    </Page>
  );
}

const SHOWN_MOST = 500;

function CredentialsTable({ rows }: { rows: CredentialView[] }) {
  return (
    <>
      <Table highlightOnHover className={css.table}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Name</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th className={css.wide}>Password</Table.Th>
            <Table.Th>Last used</Table.Th>
            <Table.Th className={css.wide}>Expires</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.slice(0, SHOWN_MOST).map((row) => (
            <Table.Tr key={row.id}>
              <Table.Td>
                <PageLink to="/credentials/$id" params={{ id: row.id }} fw={550} className="break">
                  {row.name}
                </PageLink>
                <div className={css.device}>{row.device_id ?? "any device"}</div>
              </Table.Td>
              <Table.Td>
                <CredentialState credential={row} />
              </Table.Td>
              <Table.Td className={css.wide}>
                <span className="mono">{row.hint}…</span>
              </Table.Td>
              <Table.Td>
                <Time at={row.last_used_at} as="ago" />
              </Table.Td>
              <Table.Td className={css.wide}>
                <Time at={row.expires_at} as="day" />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      {rows.length > SHOWN_MOST && (
        <p className={css.none}>
          The first {SHOWN_MOST} of {rows.length}: search to see the others.
        </p>
      )}
    </>
  );
}

/** Newest first: who has just made one looks for it. */
function found(all: CredentialView[], wanted: string): CredentialView[] {
  const words = wanted.toLowerCase();
  return all
    .filter((each) =>
      `${each.name} ${each.device_id ?? ""} ${each.id} ${each.hint}`.toLowerCase().includes(words),
    )
    .toReversed();
}
