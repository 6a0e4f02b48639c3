import { Button, Select } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { KeyRound, Plus, Search, Upload } from "lucide-react";
import { useMemo } from "react";
import type { CredentialView } from "@/api/schema";
import { useSession } from "@/api/session";
import { Answered, Empty } from "@/ui/Feedback";
import { count } from "@/ui/format";
import { Lines } from "@/ui/Lines";
import cell from "@/ui/Lines.module.css";
import list from "@/ui/List.module.css";
import { PageButton } from "@/ui/links";
import { Card, Page } from "@/ui/Page";
import { SettlingInput } from "@/ui/SettlingInput";
import { Time } from "@/ui/Time";
import { CredentialState } from "./CredentialState";
import css from "./Credentials.module.css";
import { NewCredential } from "./NewCredential";
import { credentialsQuery } from "./queries";

const STATES = [
  { value: "active", label: "Active" },
  { value: "expired", label: "Expired" },
  { value: "revoked", label: "Revoked" },
];

/** All credentials, as many as there are. */
export function Credentials() {
  const manages = useSession().can("manage_credentials");
  const { new: opened, q, state } = useSearch({ from: "/signed/credentials" });
  const navigate = useNavigate({ from: "/credentials" });
  const query = useInfiniteQuery(credentialsQuery({ q, state }));
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data]);
  const show = (change: { new?: boolean; q?: string; state?: CredentialView["state"] }) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true });
  const filtered = Boolean(q || state);
  const none = query.data && rows.length === 0 && !query.hasNextPage;
  const create = manages && (
    <>
      <PageButton to="/credentials/import" variant="default" leftSection={<Upload size={16} />}>
        Many from a file
      </PageButton>
      <Button leftSection={<Plus size={16} />} onClick={() => show({ new: true })}>
        New credential
      </Button>
    </>
  );
  return (
    <Page
      title="Credentials"
      about="What a device connects with: a user name, a password, and the topics that it may use."
      actions={!(none && !filtered) && create}
    >
      <Card flush label="Credentials">
        {!(none && !filtered) && (
          <div className={list.tools}>
            <SettlingInput
              aria-label="Search credentials"
              placeholder="Search by name, device or id"
              leftSection={<Search size={16} />}
              className={list.grow}
              value={q}
              settle={(next) => show({ q: next })}
            />
            <Select
              aria-label="State"
              className={list.choice}
              placeholder="Any state"
              data={STATES}
              clearable
              value={state ?? null}
              onChange={(next) => show({ state: (next as CredentialView["state"]) ?? undefined })}
            />
            <span className={`${list.end} ${cell.dim}`}>
              {query.data && `${count(rows.length)}${query.hasNextPage ? " and more" : ""}`}
            </span>
          </div>
        )}
        <Answered query={query} rows={9}>
          {none && filtered && (
            <Empty
              icon={Search}
              title="No credential fits"
              action={
                <Button variant="default" onClick={() => show({ q: undefined, state: undefined })}>
                  Show all credentials
                </Button>
              }
            >
              The search looks for a part of the name, the device, the id or the beginning of the password.
            </Empty>
          )}
          {none && !filtered && (
            <Empty
              icon={KeyRound}
              title="No credentials yet"
              action={manages && <div className={list.row}>{create}</div>}
            >
              {manages
                ? "Create one for your first device: a click, and you have all that it needs to connect."
                : "Somebody whose key has the scope manage_credentials can create one."}
            </Empty>
          )}
          {!none && (
            <Lines
              label="Credentials"
              rows={rows}
              keyOf={idOf}
              draw={drawn}
              columns={css.columns}
              head={HEAD}
              more={() => {
                if (query.hasNextPage && !query.isFetchingNextPage) void query.fetchNextPage();
              }}
            />
          )}
        </Answered>
      </Card>
      {manages && <NewCredential opened={opened === true} onClose={() => show({ new: undefined })} />}
    </Page>
  );
}

const HEAD = (
  <>
    <span>Name</span>
    <span>State</span>
    <span className={cell.wide}>Password</span>
    <span>Last used</span>
    <span className={cell.wide}>Expires</span>
  </>
);

const idOf = (row: CredentialView) => row.id;

const drawn = (row: CredentialView) => (
  <>
    <span className={cell.name}>
      <Link to="/credentials/$id" params={{ id: row.id }} className={`${cell.link} ellipsis`}>
        {row.name}
      </Link>
      <span className={`${cell.dim} ellipsis`}>{row.device_id ?? "any device"}</span>
    </span>
    <span>
      <CredentialState credential={row} />
    </span>
    <span className={`${cell.dim} ${cell.wide} mono ellipsis`}>{row.hint}…</span>
    <span className={cell.dim}>
      <Time at={row.last_used_at} as="ago" />
    </span>
    <span className={`${cell.dim} ${cell.wide}`}>
      <Time at={row.expires_at} as="day" />
    </span>
  </>
);
