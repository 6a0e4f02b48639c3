import { Alert, Anchor, SegmentedControl, Select, Tabs } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { Ban, Info } from "lucide-react";
import { useState } from "react";
import { connectionQuery } from "@/api/connection";
import type { CredentialView } from "@/api/schema";
import { useSession } from "@/api/session";
import { CodeBlock, CopyValue } from "@/ui/Copy";
import { Answered, Empty } from "@/ui/Feedback";
import { Card, Facts } from "@/ui/Page";
import css from "./Connect.module.css";
import { CA_FILE, type Filled, filled, PLACEHOLDER, type Snippet, topicOf } from "./filled";
import { SNIPPETS } from "./snippets";
import { Watch } from "./Watch";

interface ConnectProps {
  credential: CredentialView;
  /** Known only while it is shown for the one time. */
  password: string | undefined;
}

/** Code for every kind of device, with this credential's values; and beside it, what comes of it. */
export function Connect({ credential, password }: ConnectProps) {
  const connection = useQuery(connectionQuery);
  const address = connection.data?.certificate_authority;
  const authority = useQuery({
    queryKey: ["connection", "authority", address],
    queryFn: () => fetch(address ?? "").then((answer) => answer.text()),
    enabled: Boolean(address),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const reads = useSession().can("read");
  const asked = address ? authority : connection;
  if (credential.state !== "active") {
    return (
      <Card label="Send a first message" flush>
        <Empty icon={Ban} title={`This credential is ${credential.state}`}>
          Nothing can connect with it. Issue another one for the device.
        </Empty>
      </Card>
    );
  }
  return (
    <div className={css.halves}>
      <Card title="Send a first message" flush={!asked.data}>
        <Answered query={asked}>
          {connection.data && (
            <>
              <Notes credential={credential} known={password !== undefined} />
              <Examples
                one={filled(credential, password, connection.data.endpoints, authority.data ?? null)}
              />
            </>
          )}
        </Answered>
      </Card>
      <Watch credential={credential} enabled={reads} />
    </div>
  );
}

/** What keeps the examples from working as they stand. */
function Notes({ credential, known }: { credential: CredentialView; known: boolean }) {
  return (
    <>
      {topicOf(credential) === undefined && (
        <Alert className={css.note} icon={<Ban size={17} />} color="red" variant="light">
          It may publish to no topic at all: give it one under Permissions.
        </Alert>
      )}
      {!known && (
        <Alert className={css.note} icon={<Info size={17} />} color="gray" variant="light">
          The password was shown once and is not kept. Put yours in the place of {PLACEHOLDER}, or rotate it
          for a new one.
        </Alert>
      )}
    </>
  );
}

function Examples({ one }: { one: Filled }) {
  const [chosen, setChosen] = useState("mosquitto");
  const [way, setWay] = useState(one.tls && one.ca === null ? "tls" : "plain");
  const narrow = useMediaQuery("(max-width: 48em)");
  const snippet = SNIPPETS.find((each) => each.id === chosen) ?? SNIPPETS[0];
  if (!snippet) return null;
  const shown = <Example key={snippet.id} one={one} snippet={snippet} way={way} setWay={setWay} />;
  if (narrow) {
    return (
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
    );
  }
  return (
    <Tabs value={chosen} onChange={(next) => next && setChosen(next)} variant="pills">
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
  );
}

const LOOPBACK = /^(127\.|localhost$|\[::1\]$)/;

interface ExampleProps {
  one: Filled;
  snippet: Snippet;
  way: string;
  setWay: (way: string) => void;
}

function Example({ one, snippet, way, setWay }: ExampleProps) {
  const chooses = snippet.chooses && one.tls !== null;
  const secure = chooses && way === "tls";
  const fetches = secure && one.ca !== null && !snippet.holdsCa && snippet.id !== "mosquitto";
  const steps: [string, string][] = fetches
    ? [
        ...snippet.steps.slice(0, 1),
        ["Trust", `curl -so ${CA_FILE} ${one.gateway}/v1/ca.pem`],
        ...snippet.steps.slice(1),
      ]
    : snippet.steps;
  return (
    <div className={css.example}>
      {chooses && (
        <SegmentedControl
          className={css.ways}
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
      {snippet.about && <p className={css.words}>{snippet.about}</p>}
      {steps.length > 0 && (
        <Facts
          rows={steps.map(([what, text]) => [what, <CopyValue key={what} text={text} label={`“${what}”`} />])}
        />
      )}
      <CodeBlock
        code={snippet.code(one, secure)}
        label={`Example: ${snippet.label}`}
        secret={one.password === PLACEHOLDER ? undefined : one.password}
      />
      {snippet.elsewhere && LOOPBACK.test(one.tcp.host) && (
        <p className={css.words}>
          {one.tcp.host} is the machine itself: the platform listens there and nowhere else. For a board, have
          it listen on the network, and put that machine's address in the place of {one.tcp.host}.
        </p>
      )}
      {secure && one.ca !== null && (
        <p className={css.words}>
          The broker's certificate is of the platform's own authority:{" "}
          <Anchor href="/v1/ca.pem" size="sm" underline="always" download>
            {CA_FILE}
          </Anchor>
        </p>
      )}
    </div>
  );
}
