import { useDebouncedValue } from "@mantine/hooks";
import { type UseQueryResult, useQuery } from "@tanstack/react-query";
import { api, ok } from "@/api/client";
import type { DecoderChoice, DecoderPreview } from "@/api/schema";
import { useSession } from "@/api/session";
import type { SampleMessage } from "./useSamples";

/** What the decoder would make of the message, asked anew shortly after the last change. */
export function usePreview(
  decoder: DecoderChoice,
  sample: SampleMessage | undefined,
  preceding: SampleMessage[],
  prefix?: string,
): UseQueryResult<DecoderPreview> {
  const manages = useSession().can("manage_integrations");
  const before = preceding.map(({ hosted, received_at, ...message }) => message);
  const [asked] = useDebouncedValue(
    JSON.stringify({
      decoder,
      ...sample,
      ...(before.length && { preceding: before }),
      ...(prefix && { prefix }),
    }),
    300,
  );
  return useQuery({
    queryKey: ["preview", asked],
    queryFn: () => ok(api.POST("/v1/decoders/preview", { body: JSON.parse(asked) })),
    enabled: manages && sample !== undefined && "topic" in JSON.parse(asked),
    retry: false,
    gcTime: 60_000,
    placeholderData: (last) => last,
  });
}
