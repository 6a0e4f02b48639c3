import { useSession } from "@/api/session";
import { Page } from "@/ui/Page";
import { Forgotten } from "./Forgotten";
import { Retention } from "./Retention";
import { Storage } from "./Storage";

/** What is kept: how long, how much of it, and what is to be gone for good. */
export function Data() {
  const session = useSession();
  return (
    <Page
      title="Stored data"
      about="How long readings are kept, how much room they take, and how a device's data is erased."
    >
      <Retention manages={session.can("admin")} />
      <Storage />
      <Forgotten manages={session.can("manage_integrations")} />
    </Page>
  );
}
