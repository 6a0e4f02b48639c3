import { queryClient } from "@/api/queries";
import { sessionQuery, signOut } from "@/api/session";
import { failed } from "@/ui/toasts";

/** Signs out; nothing of the session stays in this tab's memory. */
export async function leave(): Promise<void> {
  try {
    await signOut();
  } catch (error) {
    failed(error);
    return;
  }
  queryClient.clear();
  queryClient.setQueryData(sessionQuery.queryKey, null);
  window.location.assign("/console/sign-in");
}
