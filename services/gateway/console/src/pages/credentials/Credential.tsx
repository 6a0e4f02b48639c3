import { Tabs } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { Answered } from "@/ui/Feedback";
import { Card, Page } from "@/ui/Page";
import { CredentialState } from "./CredentialState";
import { Details } from "./Details";
import { IssuedSecret } from "./IssuedSecret";
import { forget, remembered } from "./issued";
import { credentialQuery } from "./queries";

const TABS = ["details", "connect"] as const;

export function Credential() {
  const { id } = useParams({ from: "/signed/credentials/$id" });
  const { tab } = useSearch({ from: "/signed/credentials/$id" });
  const navigate = useNavigate({ from: "/credentials/$id" });
  const query = useQuery(credentialQuery(id));
  const [issued, setIssued] = useState(() => remembered(id));
  const credential = query.data;
  const shown = TABS.find((each) => each === tab) ?? "details";
  return (
    <Page
      title={credential?.name ?? "Credential"}
      beside={credential && <CredentialState credential={credential} />}
      back={{ to: "/credentials", label: "Credentials" }}
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
          onChange={(next) => void navigate({ search: { tab: next ?? undefined }, replace: true })}
        >
          <Tabs.List>
            <Tabs.Tab value="details">Details</Tabs.Tab>
          </Tabs.List>
          <Tabs.Panel value="details" pt="md">
            <Details credential={credential} />
          </Tabs.Panel>
        </Tabs>
      )}
    </Page>
  );
}
