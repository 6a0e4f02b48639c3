import { type ErrorComponentProps, useRouter } from "@tanstack/react-router";
import { Compass } from "lucide-react";
import { Empty, ProblemAlert, SkeletonRows } from "@/ui/Feedback";
import { PageButton } from "@/ui/links";
import { Page } from "@/ui/Page";

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

export function PagePending() {
  return <SkeletonRows rows={7} height={22} />;
}
