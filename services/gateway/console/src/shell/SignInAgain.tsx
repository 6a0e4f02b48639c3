import { Anchor, Modal, Text } from "@mantine/core";
import { queryClient } from "@/api/queries";
import { type Session, sessionQuery } from "@/api/session";
import { KeyForm } from "./KeyForm";

/**
 * Before the page, which stays as it is and is not seen: whoever signs in again goes on, and nothing is lost that was
 * typed. Somebody else begins anew, in a tab that knows nothing.
 */
export default function SignInAgain({ onSigned }: { onSigned: () => void }) {
  const signed = (session: Session) => {
    const before = queryClient.getQueryData(sessionQuery.queryKey);
    if (session.actor !== before?.actor || session.organization !== before.organization) {
      window.location.assign("/console/");
      return;
    }
    queryClient.setQueryData(sessionQuery.queryKey, session);
    void queryClient.invalidateQueries();
    onSigned();
  };
  return (
    <Modal
      opened
      onClose={() => undefined}
      withCloseButton={false}
      closeOnEscape={false}
      closeOnClickOutside={false}
      title="Sign in again"
      overlayProps={{ color: "var(--page)", backgroundOpacity: 1 }}
    >
      <Text size="sm" mb="md">
        Your session has ended: its time was over, or its key was revoked. What you have begun is still there.
      </Text>
      <KeyForm onSigned={signed} />
      <Text size="sm" mt="md">
        <Anchor href="/console/sign-in" inherit underline="always">
          Leave this page, and sign in anew
        </Anchor>
      </Text>
    </Modal>
  );
}
