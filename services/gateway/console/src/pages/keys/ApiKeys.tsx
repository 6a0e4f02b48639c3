import { Button, Modal } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { KeySquare, Plus } from "lucide-react";
import { useState } from "react";
import { all, api, ok } from "@/api/client";
import type { ApiKeyView } from "@/api/schema";
import { SCOPE_WORDS, useSession } from "@/api/session";
import { ConfirmByName } from "@/ui/ConfirmByName";
import { Answered, Empty } from "@/ui/Feedback";
import { type Column, Rows } from "@/ui/List";
import css from "@/ui/List.module.css";
import { Card, Page } from "@/ui/Page";
import { SecretOnce } from "@/ui/SecretOnce";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { done } from "@/ui/toasts";
import { NewApiKey } from "./NewApiKey";

export function ApiKeys() {
  const query = useQuery({
    queryKey: ["api-keys"],
    queryFn: () =>
      all((cursor) => ok(api.GET("/v1/api-keys", { params: { query: { limit: 500, cursor } } }))),
  });
  const [opened, setOpened] = useState(false);
  const [issued, setIssued] = useState<{ id: string; secret: string }>();
  const create = (
    <Button leftSection={<Plus size={16} />} onClick={() => setOpened(true)}>
      New API key
    </Button>
  );
  return (
    <Page
      title="API keys"
      about="What programs and people sign in with. A key is of this organization, and may do what its scopes say."
      actions={create}
    >
      {issued && (
        <Card title="Save the key now">
          <SecretOnce
            label="API key"
            secret={issued.secret}
            filename={issued.id}
            onSaved={() => setIssued(undefined)}
            savedLabel="Hide it for good"
          >
            It is shown this once: the platform keeps only a hash of it.
          </SecretOnce>
        </Card>
      )}
      <Card flush label="API keys">
        <Answered query={query}>
          {query.data?.length === 0 ? (
            <Empty icon={KeySquare} title="No API keys" action={create}>
              Make one for each program that calls the API.
            </Empty>
          ) : (
            <KeysTable rows={query.data ?? []} />
          )}
        </Answered>
      </Card>
      <Modal
        opened={opened}
        onClose={() => setOpened(false)}
        title="New API key"
        closeButtonProps={{ "aria-label": "Close" }}
      >
        <NewApiKey
          onIssued={(key) => {
            setIssued(key);
            setOpened(false);
          }}
        />
      </Modal>
    </Page>
  );
}

function KeysTable({ rows }: { rows: ApiKeyView[] }) {
  const client = useQueryClient();
  const { actor } = useSession();
  const own = (key: ApiKeyView) => actor === `key:${key.id}`;
  const [chosen, setChosen] = useState<ApiKeyView>();
  const revoking = useMutation({
    mutationFn: (id: string) => ok(api.DELETE("/v1/api-keys/{id}", { params: { path: { id } } })),
    onSuccess: () => {
      done("API key revoked");
      void client.invalidateQueries({ queryKey: ["api-keys"] });
    },
  });
  const columns: Column<ApiKeyView>[] = [
    {
      head: "Name",
      cell: (row) => (
        <>
          <strong className="break">{row.name}</strong>
          <div className={css.under}>
            <span className="mono">{row.hint}…</span>
            {own(row) && " you are signed in with it"}
          </div>
        </>
      ),
    },
    {
      head: "State",
      cell: (row) => <Status tone={row.state === "active" ? "good" : "idle"}>{row.state}</Status>,
    },
    {
      head: "May",
      wide: true,
      cell: (row) =>
        row.scopes.includes("admin")
          ? SCOPE_WORDS.admin
          : row.scopes.map((scope) => SCOPE_WORDS[scope] ?? scope).join("; "),
    },
    { head: "Last used", wide: true, tight: true, cell: (row) => <Time at={row.last_used_at} as="ago" /> },
    { head: "Expires", wide: true, cell: (row) => <Time at={row.expires_at} as="day" /> },
    {
      head: "Actions",
      quiet: true,
      end: true,
      cell: (row) =>
        row.state === "active" && (
          <Button size="xs" variant="default" onClick={() => setChosen(row)}>
            Revoke
          </Button>
        ),
    },
  ];
  return (
    <>
      <Rows rows={rows} columns={columns} id={(row) => row.id} />
      <ConfirmByName
        opened={chosen !== undefined}
        onClose={() => setChosen(undefined)}
        title="Revoke this key?"
        name={chosen?.name}
        action="Revoke"
        run={() => revoking.mutateAsync(chosen?.id ?? "")}
      >
        Whatever uses it is refused from now on, sessions of this console included. It cannot be taken back.
        {chosen && own(chosen) && <strong> You are signed in with this key: you are signed out, too.</strong>}
      </ConfirmByName>
    </>
  );
}
