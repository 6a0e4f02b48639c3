import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { BookOpen, KeyRound } from "lucide-react";
import { api, ok } from "@/api/client";
import { SCOPE_WORDS, type Scope, useSession } from "@/api/session";
import { Empty } from "@/ui/Feedback";
import { PageButton } from "@/ui/links";
import { Card, Page } from "@/ui/Page";
import { ConnectionCard } from "./ConnectionCard";
import css from "./Overview.module.css";
import { Recent } from "./Recent";
import { Tiles } from "./Tiles";

export function Overview() {
  const session = useSession();
  const reads = session.can("read");
  const connects = session.can("read", "manage_credentials");
  const first = useQuery({
    queryKey: ["credentials", "any"],
    queryFn: () => ok(api.GET("/v1/credentials", { params: { query: { limit: 1 } } })),
    enabled: connects,
  });
  const nothingYet = first.data?.items.length === 0;
  return (
    <Page
      title="Overview"
      about={!session.can("admin") && mayDo(session.scopes)}
      actions={
        session.can("manage_credentials") && (
          <PageButton to="/credentials" search={{ new: true }} leftSection={<KeyRound size={16} />}>
            New credential
          </PageButton>
        )
      }
    >
      {nothingYet && session.can("manage_credentials") && (
        <Card>
          <Empty
            icon={KeyRound}
            title="Get the first device online"
            action={
              <PageButton to="/credentials" search={{ new: true }} size="md">
                Create a credential
              </PageButton>
            }
          >
            A credential is what a device connects with. You get its password, and code for your kind of
            device with everything filled in; this page then shows the data as it comes.
          </Empty>
        </Card>
      )}
      {reads && <Tiles />}
      <div className={css.halves}>
        {connects && <ConnectionCard />}
        {reads && <Recent />}
      </div>
      {!connects && (
        <Card flush label="Devices and messages">
          <Empty
            icon={BookOpen}
            title="Devices and messages are not for this key"
            action={
              <Button component="a" href="/docs" variant="default">
                To the API
              </Button>
            }
          >
            To see them takes a key with the scope read. Somebody whose key has the scope admin can make one,
            under API keys.
          </Empty>
        </Card>
      )}
    </Page>
  );
}

function mayDo(scopes: Scope[]): string {
  return `Your key may ${scopes.map((scope) => SCOPE_WORDS[scope]).join("; ")}. What else there is takes another key.`;
}
