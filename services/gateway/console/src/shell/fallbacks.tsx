import { type ErrorComponentProps, useRouter } from "@tanstack/react-router";
import { Compass, Lock } from "lucide-react";
import { type Scope, useSession } from "@/api/session";
import { Empty, ProblemAlert, SkeletonRows } from "@/ui/Feedback";
import { PageButton } from "@/ui/links";
import { Card, Page } from "@/ui/Page";

export function NotFound() {
  return (
    <main>
      <Empty
        icon={Compass}
        title="There is no such page"
        action={<PageButton to="/">To the overview</PageButton>}
      >
        The address may be mistyped, or the page has moved.
      </Empty>
    </main>
  );
}

/** A page that failed takes nothing else down with it. */
export function PageFailed({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  return (
    <Page title="This page failed">
      <ProblemAlert
        error={error}
        retry={() => {
          reset();
          void router.invalidate();
        }}
      />
    </Page>
  );
}

/** In the place of a page that the key may not see: a link may lead there. */
export function NotAllowed({ title, scopes }: { title: string; scopes: Scope[] }) {
  const session = useSession();
  return (
    <Page title={title}>
      <Card flush label={title}>
        <Empty
          icon={Lock}
          title="Your key may not see this"
          action={<PageButton to="/">To the overview</PageButton>}
        >
          {scopes.length === 0
            ? "It is the operator's: it takes the platform's admin key."
            : `It takes a key with the scope ${[...new Set([...scopes, "admin"])].join(" or ")}; yours has ${session.scopes.join(", ")}. Somebody whose key has the scope admin can make one, under API keys.`}
        </Empty>
      </Card>
    </Page>
  );
}

export function PagePending() {
  return <SkeletonRows rows={7} height={22} />;
}
