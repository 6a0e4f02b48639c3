import { type CSSProperties, type ReactNode, useEffect } from "react";
import { PageLink } from "@/ui/links";
import css from "./Page.module.css";

interface PageProps {
  title: string;
  /** What stands beside the title: a state, a count. */
  beside?: ReactNode;
  about?: ReactNode;
  back?: { to: string; label: string };
  actions?: ReactNode;
  children: ReactNode;
}

/** A page: one `h1`, what it is about, its actions, its content. Sets the document's title. */
export function Page({ title, beside, about, back, actions, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · HybridMQ`;
  }, [title]);
  return (
    <div className={css.page}>
      <header className={css.header}>
        <div className={css.words}>
          {back && (
            <div className={css.crumbs}>
              <PageLink to={back.to} size="sm">
                ← {back.label}
              </PageLink>
            </div>
          )}
          <h1 className={css.title}>
            {title} {beside}
          </h1>
          {about && <p className={css.about}>{about}</p>}
        </div>
        {actions && <div className={css.actions}>{actions}</div>}
      </header>
      {children}
    </div>
  );
}

interface CardProps {
  title?: ReactNode;
  actions?: ReactNode;
  /** Without padding: for tables, which scroll sideways where they must. */
  flush?: boolean;
  children: ReactNode;
  className?: string;
  label?: string;
}

/** A surface with a heading of its own. */
export function Card({ title, actions, flush, children, className, label }: CardProps) {
  return (
    <section className={`${css.card} ${className ?? ""}`} aria-label={label}>
      {(title || actions) && (
        <div className={css.cardHead}>
          <h2 className={css.cardTitle}>{title}</h2>
          {actions}
        </div>
      )}
      <div className={`${css.cardBody} ${flush ? css.flush : ""}`}>{children}</div>
    </section>
  );
}

/** Columns as wide as `min` at least, as many as there is room for. */
export function Columns({ min = 280, children }: { min?: number; children: ReactNode }) {
  return (
    <div className={css.grid} style={{ "--min": `${min}px` } as CSSProperties}>
      {children}
    </div>
  );
}

/** Names and values. */
export function Facts({ rows }: { rows: [label: string, value: ReactNode][] }) {
  return (
    <dl className={css.facts}>
      {rows.map(([label, value]) => (
        <FactRow key={label} label={label} value={value} />
      ))}
    </dl>
  );
}

function FactRow({ label, value }: { label: string; value: ReactNode }) {
  return (
    <>
      <dt>{label}</dt>
      <dd>{value}</dd>
    </>
  );
}
