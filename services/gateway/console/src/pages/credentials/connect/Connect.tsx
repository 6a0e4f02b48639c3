import { Alert, Anchor, SegmentedControl, Select, Tabs } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { Info } from "lucide-react";
import { useState } from "react";
import { connectionQuery } from "@/api/connection";
import type { CredentialView } from "@/api/schema";
import { useSession } from "@/api/session";
import { CodeBlock } from "@/ui/Copy";
import { Answered } from "@/ui/Feedback";
import { Card } from "@/ui/Page";
import css from "./Connect.module.css";
import { filled, SNIPPETS } from "./snippets";
import { Watch } from "./Watch";

interface ConnectProps {
  credential: CredentialView;
  /** Known only while it is shown for the one time. */
  password: string | undefined;
}

/** Code for every kind of device, with this credential's values; and beside it, what comes of it. */
export function Connect({ credential, password }: ConnectProps) {
  const connection = useQuery(connectionQuery);
  const reads = useSession().can("read");
  return (
    <div className={css.halves}>
      <Card title="Send a first message" flush={!connection.data}>
        <Answered query={connection}>
          {connection.data && (
            <Examples one={filled(credential, password, connection.data)} known={password !== undefined} />
          )}
        </Answered>
      </Card>
      <Watch credential={credential} enabled={reads} />
    </div>
  );
}

function Examples({ one, known }: { one: ReturnType<typeof filled>; known: boolean }) {
  const [chosen, setChosen] = useState("mosquitto");
  const [way, setWay] = useState(one.tls && !one.ownCa ? "tls" : "plain");
  const narrow = useMediaQuery("(max-width: 48em)");
  const snippet = SNIPPETS.find((each) => each.id === chosen) ?? SNIPPETS[0];
  if (!snippet) return null;
  const chooses = one.tls !== null && chosen !== "browser" && chosen !== "curl";
  const shown = (
    <div className={css.example}>
      <div className={css.above}>
        <span className={css.needs}>Needs: {snippet.needs}</span>
        {chooses && (
          <SegmentedControl
            size="xs"
            aria-label="How to connect"
            value={way}
            onChange={setWay}
            data={[
              { value: "plain", label: "MQTT" },
              { value: "tls", label: "MQTT over TLS" },
            ]}
          />
        )}
      </div>
      <CodeBlock code={snippet.code(one, chooses && way === "tls")} label={`Example: ${snippet.label}`} />
      {chooses && way === "tls" && one.ownCa && (
        <p className={css.needs}>
          The broker's certificate is of the platform's own authority:{" "}
          <Anchor href="/v1/ca.pem" size="sm" underline="always" download>
            hybridmq-ca.pem
          </Anchor>
        </p>
      )}
    </div>
  );
  return (
    <>
      {!known && (
        <Alert className={css.note} icon={<Info size={17} />} color="gray" variant="light">
          The password was shown once and is not kept. Put yours in the place of &lt;password&gt;, or rotate
          it for a new one.
        </Alert>
      )}
      {narrow ? (
        <>
          <Select
            aria-label="Kind of device"
            value={chosen}
            onChange={(next) => next && setChosen(next)}
            data={SNIPPETS.map((each) => ({ value: each.id, label: each.label }))}
            mb="md"
          />
          {shown}
        </>
      ) : (
        <Tabs
          value={chosen}
          onChange={(next) => next && setChosen(next)}
          variant="pills"
          orientation="horizontal"
        >
          <Tabs.List aria-label="Kind of device">
            {SNIPPETS.map((each) => (
              <Tabs.Tab key={each.id} value={each.id} className={css.tab}>
                {each.label}
              </Tabs.Tab>
            ))}
          </Tabs.List>
          <Tabs.Panel value={chosen} pt="md">
            {shown}
          </Tabs.Panel>
        </Tabs>
      )}
    </>
  );
}
