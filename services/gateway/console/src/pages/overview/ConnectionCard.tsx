import { Anchor } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { addressOf, connectionQuery } from "@/api/connection";
import { CopyValue } from "@/ui/Copy";
import { Answered } from "@/ui/Feedback";
import { Card, Facts } from "@/ui/Page";

/** What every device needs to know, ready to be copied. */
export function ConnectionCard() {
  const query = useQuery(connectionQuery);
  return (
    <Card title="Connect a device" flush={!query.data}>
      <Answered query={query} rows={5}>
        {query.data && <Addresses {...query.data} />}
      </Answered>
    </Card>
  );
}

interface AddressesProps {
  topic_prefix: string;
  endpoints: { mqtt: string; ws: string; mqtts?: string | null; wss?: string | null };
  certificate_authority: string | null;
}

function Addresses({ topic_prefix, endpoints, certificate_authority }: AddressesProps) {
  const tcp = addressOf(endpoints.mqtt);
  const tls = endpoints.mqtts ? addressOf(endpoints.mqtts) : null;
  const port = (n: number, label: string) => <CopyValue text={String(n)} label={label} />;
  return (
    <Facts
      rows={[
        ["Host", <CopyValue key="h" text={tcp.host} label="host" />],
        ["Port, MQTT", port(tcp.port, "port")],
        ...(tls
          ? ([["Port, MQTT over TLS", port(tls.port, "TLS port")]] as [string, React.ReactNode][])
          : []),
        ["WebSocket", <CopyValue key="w" text={endpoints.ws} label="WebSocket address" />],
        ...(endpoints.wss
          ? ([
              [
                "WebSocket over TLS",
                <CopyValue key="s" text={endpoints.wss} label="secure WebSocket address" />,
              ],
            ] as [string, React.ReactNode][])
          : []),
        ["Topics begin with", <CopyValue key="p" text={`${topic_prefix}/`} label="topic prefix" />],
        ...(certificate_authority
          ? ([
              [
                "Certificate authority",
                <Anchor key="c" href={certificate_authority} size="sm" download>
                  Download hybridmq-ca.pem
                </Anchor>,
              ],
            ] as [string, React.ReactNode][])
          : []),
      ]}
    />
  );
}
