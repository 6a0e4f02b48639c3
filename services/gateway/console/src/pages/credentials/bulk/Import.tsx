import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { FileUp } from "lucide-react";
import { useState } from "react";
import { useSession } from "@/api/session";
import { Empty } from "@/ui/Feedback";
import { Card, Page } from "@/ui/Page";
import { Choose } from "./Choose";
import type { Fleet } from "./fleet";
import { Issuing } from "./Issuing";
import { Preview } from "./Preview";

/** Credentials for a fleet: a file, what would come of it, and then the passwords, once. */
export function Import() {
  const manages = useSession().can("manage_credentials");
  const client = useQueryClient();
  const navigate = useNavigate();
  const [fleet, setFleet] = useState<Fleet>();
  const [text, setText] = useState("");
  const [going, setGoing] = useState(false);
  return (
    <Page
      title="Many credentials from a file"
      about="A credential for each line: up to 10,000 at once, with passwords that are generated, or that your devices have already."
      back={{ to: "/credentials", label: "Credentials" }}
    >
      {!manages && (
        <Card flush label="Credentials from a file">
          <Empty icon={FileUp} title="Your key may not issue credentials">
            It lacks the scope manage_credentials. Somebody whose key has it can do this, or make you a key.
          </Empty>
        </Card>
      )}
      {manages && !fleet && <Choose text={text} setText={setText} choose={setFleet} />}
      {manages && fleet && !going && (
        <Preview
          key={fleet.key}
          fleet={fleet}
          back={() => {
            setText(fleet.text);
            setFleet(undefined);
          }}
          go={() => setGoing(true)}
        />
      )}
      {manages && fleet && going && (
        <Issuing
          fleet={fleet}
          done={() => {
            void client.invalidateQueries({ queryKey: ["credentials"] });
            void navigate({ to: "/credentials" });
          }}
        />
      )}
    </Page>
  );
}
