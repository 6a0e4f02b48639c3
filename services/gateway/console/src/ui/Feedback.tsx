import { Alert, Anchor, Button, Skeleton } from "@mantine/core";
import { CircleAlert } from "lucide-react";
import type { ComponentType, ReactNode } from "react";
import { asProblem, nextStep } from "@/api/problem";
import { CopyIconButton } from "./Copy";
import css from "./Feedback.module.css";

/** What went wrong, its code, and what to do next. */
export function ProblemAlert({ error, retry }: { error: unknown; retry?: () => void }) {
  const problem = asProblem(error);
  const next = nextStep(problem);
  const known = problem.status > 0;
  return (
    <Alert
      className={css.problem}
      color="red"
      variant="outline"
      icon={<CircleAlert size={18} />}
      title={problem.title}
      role="alert"
    >
      {problem.detail && problem.detail !== problem.title && <p className={css.line}>{problem.detail}</p>}
      {next && <p className={css.line}>{next}</p>}
      <p className={css.small}>
        {known ? (
          <Anchor href={`/problems/${problem.code}`} target="_blank" size="xs" underline="always">
            {problem.code}
          </Anchor>
        ) : (
          problem.code
        )}
        {problem.traceId && (
          <span className={css.trace}>
            trace {problem.traceId.slice(0, 8)}…
            <CopyIconButton text={problem.traceId} label="trace id" />
          </span>
        )}
      </p>
      {retry && (
        <Button size="xs" variant="default" mt="xs" onClick={retry}>
          Try again
        </Button>
      )}
    </Alert>
  );
}

interface EmptyProps {
  icon: ComponentType<{ size?: number }>;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}

/** Where there is nothing yet: what would be here, and the next thing to do. */
export function Empty({ icon: Icon, title, children, action }: EmptyProps) {
  return (
    <div className={css.empty}>
      <span className={css.emptyIcon} aria-hidden>
        <Icon size={22} />
      </span>
      <h3 className={css.emptyTitle}>{title}</h3>
      {children && <p className={css.emptyWords}>{children}</p>}
      {action && <div className={css.emptyAction}>{action}</div>}
    </div>
  );
}

/** Lines that stand where rows will be. */
export function SkeletonRows({ rows = 5, height = 18 }: { rows?: number; height?: number }) {
  return (
    <div className={css.skeletons} role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: they are all alike
        <Skeleton key={row} height={height} radius="sm" width={`${92 - ((row * 17) % 38)}%`} />
      ))}
    </div>
  );
}

interface Asked {
  isPending: boolean;
  error: unknown;
  refetch: () => unknown;
  data: unknown;
}

/** A query's answer, or what stands in its place while it comes, or why it does not. */
export function Answered({ query, children, rows }: { query: Asked; children: ReactNode; rows?: number }) {
  if (query.isPending) return <SkeletonRows rows={rows} />;
  if (query.error && query.data === undefined) {
    return (
      <div className={css.padded}>
        <ProblemAlert error={query.error} retry={() => query.refetch()} />
      </div>
    );
  }
  return children;
}
