import { Anchor, Drawer, SegmentedControl } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Wrench } from "lucide-react";
import { useState } from "react";
import { api, ok } from "@/api/client";
import type { DeadLetter } from "@/api/schema";
import { useSession } from "@/api/session";
import { Answered } from "@/ui/Feedback";
import { bytes } from "@/ui/format";
import css from "@/ui/List.module.css";
import { PageButton } from "@/ui/links";
import { Facts } from "@/ui/Page";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { Preview } from "../integrations/decoder/Preview";
import { usePreview } from "../integrations/decoder/usePreview";
import { integrationQuery, useIntegrationNames } from "../integrations/queries";
import { Acts } from "./Acts";
import { TONES } from "./LettersTable";
import { nextStepFor } from "./next";

/** One letter, with its payload as it came, and what can be done about it. */
export function Letter({ id, onClose }: { id: string | undefined; onClose: () => void }) {
  const query = useQuery({
    queryKey: ["dead-letters", id],
    queryFn: () => ok(api.GET("/v1/dead-letters/{id}", { params: { path: { id: id ?? "" } } })),
    enabled: id !== undefined,
  });
  return (
    <Drawer
      opened={id !== undefined}
      onClose={onClose}
      position="right"
      size="lg"
      title="Dead letter"
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <Answered query={query}>{query.data && <Whole letter={query.data} />}</Answered>
    </Drawer>
  );
}

function Whole({ letter }: { letter: DeadLetter }) {
  const manages = useSession().can("manage_integrations");
  const named = useIntegrationNames();
  const next = nextStepFor(letter.reason);
  return (
    <div className={css.form}>
      <Facts
        rows={[
          [
            "Topic",
            <span key="topic" className="mono break">
              {letter.topic}
            </span>,
          ],
          [
            "Reason",
            <Anchor
              key="reason"
              href={`/problems/${letter.reason}`}
              target="_blank"
              inherit
              underline="always"
            >
              {letter.reason}
            </Anchor>,
          ],
          [
            "What is wrong",
            <span key="wrong" className="break">
              {letter.detail}
            </span>,
          ],
          ...(next && letter.state === "open" ? [["What to do", next] as [string, string]] : []),
          ["Read by", `${letter.decoder}, of ${named(letter.integration_id)}`],
          ["Came", <Time key="came" at={letter.received_at} />],
          [
            "State",
            <Status key="state" tone={TONES[letter.state]}>
              {letter.state}
            </Status>,
          ],
          ...(letter.closed_at
            ? [["Closed", <Closed key="closed" letter={letter} />] as [string, React.ReactNode]]
            : []),
        ]}
      />
      <Payload letter={letter} />
      {manages && letter.state === "open" && <Mending letter={letter} />}
    </div>
  );
}

function Closed({ letter }: { letter: DeadLetter }) {
  return (
    <>
      <Time at={letter.closed_at} /> by {letter.closed_by ?? "nobody"}
    </>
  );
}

type Form = "text" | "json" | "hex" | "base64";

function Payload({ letter }: { letter: DeadLetter }) {
  const json = pretty(letter.payload_text);
  const [form, setForm] = useState<Form>(letter.payload_text == null ? "hex" : json ? "json" : "text");
  const payload = {
    text: letter.payload_text ?? "",
    json: json ?? "",
    hex: letter.payload_hex,
    base64: letter.payload_base64,
  };
  return (
    <>
      <SegmentedControl
        aria-label="Payload as"
        value={form}
        onChange={(value) => setForm(value as Form)}
        data={[
          { value: "text", label: "Text", disabled: letter.payload_text == null },
          { value: "json", label: "JSON", disabled: json === undefined },
          { value: "hex", label: "Hex" },
          { value: "base64", label: "Base64" },
        ]}
      />
      <section
        className={css.code}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it
        tabIndex={0}
        aria-label={`Payload, ${bytes(letter.payload_bytes)}`}
      >
        {letter.payload_bytes === 0 ? "(no bytes)" : payload[form]}
      </section>
    </>
  );
}

function pretty(text: string | null | undefined): string | undefined {
  try {
    return text ? JSON.stringify(JSON.parse(text), null, 2) : undefined;
  } catch {
    return undefined;
  }
}

/** What the decoder makes of it as it is set now, and the ways on. */
function Mending({ letter }: { letter: DeadLetter }) {
  const id = letter.integration_id === "http" ? "hosted" : letter.integration_id;
  const integration = useQuery(integrationQuery(id));
  const held = integration.data;
  const prefix = (held?.settings as { topic_prefix?: string } | null | undefined)?.topic_prefix;
  const sample = {
    topic: letter.topic,
    payload_base64: letter.payload_base64,
    hosted: letter.integration_id === "hosted",
    received_at: letter.received_at,
  };
  const preview = usePreview(held?.decoder ?? {}, held && sample, [], prefix);
  return (
    <>
      {held && (
        <div className={css.trial}>
          <div className={css.under}>
            With the decoder of {held.name} as it is now ({held.decoder?.name ?? "standard"}):
          </div>
          <Preview query={preview} />
        </div>
      )}
      <div className={css.acts}>
        {held && (
          <PageButton
            to="/integrations/$id"
            params={{ id }}
            search={{ tab: "decoder", letter: letter.id }}
            variant={preview.data?.outcome === "dead_letter" ? "filled" : "default"}
            leftSection={<Wrench size={15} />}
          >
            Mend the decoder
          </PageButton>
        )}
        <Acts ids={[letter.id]} called="it" onDone={() => undefined} />
      </div>
    </>
  );
}
