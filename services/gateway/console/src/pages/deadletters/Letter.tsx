import { Drawer, SegmentedControl } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, ok } from "@/api/client";
import type { DeadLetter } from "@/api/schema";
import { Answered } from "@/ui/Feedback";
import { bytes } from "@/ui/format";
import css from "@/ui/List.module.css";
import { Facts } from "@/ui/Page";
import { Time } from "@/ui/Time";

/** One letter, with its payload as it came. */
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

type Form = "text" | "hex" | "base64";

function Whole({ letter }: { letter: DeadLetter }) {
  const [form, setForm] = useState<Form>(letter.payload_text === null ? "hex" : "text");
  const payload = { text: letter.payload_text ?? "", hex: letter.payload_hex, base64: letter.payload_base64 };
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
          ["Reason", letter.reason],
          ["What is wrong", letter.detail],
          ["Decoder", letter.decoder],
          ["Integration", letter.integration_id],
          ["Came", <Time key="came" at={letter.received_at} />],
          ["State", letter.state],
          ["Closed", <Time key="closed" at={letter.closed_at} none="not yet" />],
          ["Closed by", letter.closed_by ?? "nobody"],
        ]}
      />
      <SegmentedControl
        aria-label="Payload as"
        value={form}
        onChange={(value) => setForm(value as Form)}
        data={[
          { value: "text", label: "Text", disabled: letter.payload_text === null },
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
        {payload[form]}
      </section>
    </div>
  );
}
