import { Link } from "@tanstack/react-router";
import { ChevronsUpDown } from "lucide-react";
import { useOrganizations } from "@/api/organizations";
import { useSession } from "@/api/session";
import css from "./OrganizationName.module.css";

/** Whose data is shown; the operator chooses another one here. */
export function OrganizationName() {
  const session = useSession();
  const organizations = useOrganizations(session.operator);
  if (!session.operator) {
    return (
      <div className={css.name} title={session.organization}>
        <span className={css.words}>{session.organization_name}</span>
      </div>
    );
  }
  const chosen = organizations.data?.find((each) => each.id === session.organization);
  return (
    <Link to="/organizations" search={{ org: undefined }} className={`${css.name} ${css.choose}`}>
      <span className={css.words}>{chosen?.name ?? (session.organization || "Choose an organization")}</span>
      <ChevronsUpDown size={14} aria-hidden />
      <span className={css.hidden}>: change the organization</span>
    </Link>
  );
}
