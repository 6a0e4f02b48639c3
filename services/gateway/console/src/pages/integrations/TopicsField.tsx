import { ActionIcon, Button, Select, TextInput } from "@mantine/core";
import { Plus, X } from "lucide-react";
import type { TopicFilter } from "@/api/schema";
import css from "./Integrations.module.css";

interface TopicsFieldProps {
  topics: TopicFilter[];
  onChange: (topics: TopicFilter[]) => void;
  error?: string;
}

/** What is subscribed to, each with the QoS that is asked for. */
export function TopicsField({ topics, onChange, error }: TopicsFieldProps) {
  const put = (index: number, change: Partial<TopicFilter>) =>
    onChange(topics.map((each, at) => (at === index ? { ...each, ...change } : each)));
  return (
    <div className={css.topics}>
      {topics.map((topic, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a row is its place
        <div key={index} className={css.topic}>
          <TextInput
            aria-label={`Filter ${index + 1}`}
            value={topic.filter}
            onChange={(event) => put(index, { filter: event.currentTarget.value })}
            placeholder="devices/+/telemetry"
            classNames={{ input: css.code }}
          />
          <Select
            aria-label={`QoS of filter ${index + 1}`}
            data={["0", "1", "2"].map((qos) => ({ value: qos, label: `QoS ${qos}` }))}
            value={String(topic.qos ?? 1)}
            onChange={(qos) => put(index, { qos: Number(qos) as 0 | 1 | 2 })}
            w={100}
          />
          <ActionIcon
            variant="subtle"
            color="gray"
            size="lg"
            aria-label={`Remove filter ${index + 1}`}
            onClick={() => onChange(topics.filter((_, at) => at !== index))}
          >
            <X size={16} />
          </ActionIcon>
        </div>
      ))}
      {error && <p className={css.error}>{error}</p>}
      <Button
        variant="subtle"
        size="compact-sm"
        leftSection={<Plus size={14} />}
        onClick={() => onChange([...topics, { filter: "", qos: 1 }])}
        className={css.start}
      >
        Add a filter
      </Button>
    </div>
  );
}
