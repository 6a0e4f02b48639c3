import { Link } from "@tanstack/react-router";
import css from "./Logo.module.css";

export function Logo({ plain }: { plain?: boolean }) {
  const content = (
    <>
      <svg viewBox="0 0 32 32" className={css.mark} aria-hidden="true">
        <rect width="32" height="32" rx="8" className={css.ground} />
        <g fill="none" stroke="#fff" strokeWidth="2.6" strokeLinecap="round">
          <path d="M9 23a14 14 0 0 1 14-14" />
          <path d="M9 16.5a7.5 7.5 0 0 1 7.5-7.5" opacity=".65" />
        </g>
        <circle cx="21.6" cy="21.6" r="3.4" fill="#fff" />
      </svg>
      HybridMQ
    </>
  );
  if (plain) return <span className={css.logo}>{content}</span>;
  return (
    <Link to="/" className={css.logo}>
      {content}
    </Link>
  );
}
