import { Button, Menu, Tabs } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { Ban, CalendarClock, PencilLine, RefreshCw } from "lucide-react";
import { useEffect, useState } from "react";
import type { CredentialIssued, CredentialView } from "@/api/schema";
import { useSession } from "@/api/session";
import { Answered } from "@/ui/Feedback";
import { FormPanel } from "@/ui/FormPanel";
import { More } from "@/ui/More";
import { Card, Page } from "@/ui/Page";
import { Connections } from "./Connections";
import { CredentialState } from "./CredentialState";
import { Connect } from "./connect/Connect";
import { Details } from "./Details";
import { Expiry } from "./Expiry";
import { History } from "./History";
import { IssuedSecret } from "./IssuedSecret";
import { forget, remember, remembered } from "./issued";
import { Permissions } from "./Permissions";
import { credentialQuery } from "./queries";
import { Rename } from "./Rename";
import { Revoke } from "./Revoke";
import { Rotate } from "./Rotate";

const TABS = {
  details: { label: "Details", Panel: Details },
  permissions: { label: "Permissions", Panel: Permissions },
  connections: { label: "Connections", Panel: Connections },
  history: { label: "History", Panel: History },
} as const;

export function Credential() {
  const { id } = useParams({ from: "/signed/credentials/$id" });
  return <OneCredential key={id} id={id} />; // nothing of one is shown with another
}

function OneCredential({ id }: { id: string }) {
  const { tab } = useSearch({ from: "/signed/credentials/$id" });
  const navigate = useNavigate({ from: "/credentials/$id" });
  const query = useQuery(credentialQuery(id));
  const manages = useSession().can("manage_credentials");
  const [issued, setIssued] = useState(() => remembered(id));
  useEffect(() => () => forget(id), [id]);
  const credential = query.data;
  const shown = tab === "connect" || (tab && tab in TABS) ? tab : "details";
  const renewed = (fresh: CredentialIssued) => {
    remember(fresh);
    setIssued(fresh);
  };
  return (
    <Page
      title={credential?.name ?? "Credential"}
      beside={credential && <CredentialState credential={credential} />}
      back={{ to: "/credentials", label: "Credentials" }}
      actions={
        manages && credential?.state === "active" && <Actions credential={credential} renewed={renewed} />
      }
    >
      {!credential && (
        <Card flush label="Credential">
          <Answered query={query}>{null}</Answered>
        </Card>
      )}
      {credential && issued && (
        <IssuedSecret
          issued={issued}
          onSaved={() => {
            forget(id);
            setIssued(undefined);
          }}
        />
      )}
      {credential && (
        <Tabs
          value={shown}
          keepMounted={false}
          onChange={(next) => void navigate({ search: { tab: next ?? undefined }, replace: true })}
        >
          <Tabs.List>
            <Tabs.Tab value="connect">Connect</Tabs.Tab>
            {Object.entries(TABS).map(([name, each]) => (
              <Tabs.Tab key={name} value={name}>
                {each.label}
              </Tabs.Tab>
            ))}
          </Tabs.List>
          <Tabs.Panel value="connect" pt="lg">
            <Connect credential={credential} password={issued?.password} />
          </Tabs.Panel>
          {Object.entries(TABS).map(([name, { Panel }]) => (
            <FormPanel key={name} value={name} shown={shown}>
              <Panel credential={credential} />
            </FormPanel>
          ))}
        </Tabs>
      )}
    </Page>
  );
}

interface ActionsProps {
  credential: CredentialView;
  renewed: (fresh: CredentialIssued) => void;
}

function Actions({ credential, renewed }: ActionsProps) {
  const [rotating, rotate] = useDisclosure(false);
  const [revoking, revoke] = useDisclosure(false);
  const [renaming, rename] = useDisclosure(false);
  const [expiring, expire] = useDisclosure(false);
  return (
    <>
      <Button variant="default" leftSection={<RefreshCw size={15} />} onClick={rotate.open}>
        Rotate password
      </Button>
      <More>
        <Menu.Item leftSection={<PencilLine size={15} />} onClick={rename.open}>
          Rename
        </Menu.Item>
        <Menu.Item leftSection={<CalendarClock size={15} />} onClick={expire.open}>
          Change expiry
        </Menu.Item>
        <Menu.Item leftSection={<Ban size={15} />} color="var(--bad)" onClick={revoke.open}>
          Revoke
        </Menu.Item>
      </More>
      <Rotate credential={credential} opened={rotating} onClose={rotate.close} renewed={renewed} />
      <Revoke credential={credential} opened={revoking} onClose={revoke.close} />
      <Expiry credential={credential} opened={expiring} onClose={expire.close} />
      <Rename credential={credential} opened={renaming} onClose={rename.close} />
    </>
  );
}
