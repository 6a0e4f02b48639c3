import { MessageSquare, Radio } from "lucide-react";
import { api, ok } from "@/api/client";
import { MessageList } from "@/pages/live/MessageList";
import type { LiveMessage } from "@/pages/live/message";
import { Answered, Empty } from "@/ui/Feedback";
import { More, useList } from "@/ui/List";
import { PageButton } from "@/ui/links";
import { Card } from "@/ui/Page";

const PAGE = 200;

/** What it sent, as it came. */
export function Messages({ id }: { id: string }) {
  const list = useList({
    key: ["device", id, "messages"],
    page: (cursor) =>
      ok(api.GET("/v1/messages", { params: { query: { device_id: id, limit: PAGE, cursor } } })),
    everyMs: 5000,
  });
  return (
    <Card
      flush
      title="Messages"
      actions={
        <PageButton
          to="/live"
          search={{ device: id }}
          size="xs"
          variant="default"
          leftSection={<Radio size={15} />}
        >
          Watch live
        </PageButton>
      }
    >
      <Answered query={list}>
        <MessageList
          messages={(list.data ?? []) as LiveMessage[]}
          empty={
            <Empty icon={MessageSquare} title="No messages kept">
              Messages are kept for 30 days.
            </Empty>
          }
        />
        <More list={list} />
      </Answered>
    </Card>
  );
}
