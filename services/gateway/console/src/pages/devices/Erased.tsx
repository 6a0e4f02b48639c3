import { Loader } from "@mantine/core";
import { Trash2 } from "lucide-react";
import type { Erasure } from "@/api/schema";
import { Empty } from "@/ui/Feedback";
import { count } from "@/ui/format";
import { PageButton } from "@/ui/links";
import { Card } from "@/ui/Page";
import { Time } from "@/ui/Time";

/** That a device was forgotten, and how far its erasure is. */
export function Erased({ erasure }: { erasure: Erasure }) {
  const done = erasure.state === "done";
  return (
    <Card label="Erasure">
      <Empty
        icon={done ? Trash2 : Working}
        title={done ? "This device was forgotten" : "What it sent is being erased"}
        action={
          <PageButton to="/devices" variant="default">
            All devices
          </PageButton>
        }
      >
        <span role="status">{gone(erasure)}</span> {done ? "That was" : "Begun"}{" "}
        <Time at={erasure.finished_at ?? erasure.forgotten_at} as="ago" />.{" "}
        {done
          ? "Should it send again, it is a new device of this id."
          : "It goes on by itself: this page may be left."}
      </Empty>
    </Card>
  );
}

const Working = ({ size }: { size?: number }) => <Loader size={size} color="gray" />;

function gone({ messages, readings, commands, dead_letters }: Erasure): string {
  const parts = [
    [messages, "messages"],
    [readings, "readings"],
    [commands, "commands"],
    [dead_letters, "dead letters"],
  ] as const;
  const words = parts.filter(([n]) => n).map(([n, what]) => `${count(n ?? 0)} ${what}`);
  return words.length ? `Gone are ${words.join(", ")}.` : "";
}
