import { Button, Modal, SegmentedControl, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { asProblem } from "@/api/problem";
import type { CredentialView } from "@/api/schema";
import { useSession } from "@/api/session";
import { PemField } from "@/pages/integrations/PemField";
import { ConfirmByName } from "@/ui/ConfirmByName";
import { CopyValue } from "@/ui/Copy";
import { ProblemAlert } from "@/ui/Feedback";
import list from "@/ui/List.module.css";
import { Card, Facts } from "@/ui/Page";
import { done } from "@/ui/toasts";
import css from "./Details.module.css";

/** What may stand in the password's place, over TLS. */
export function Certificate({ credential }: { credential: CredentialView }) {
  const client = useQueryClient();
  const [binding, bind] = useDisclosure(false);
  const [unbinding, unbind] = useDisclosure(false);
  const manages = useSession().can("manage_credentials") && credential.state === "active";
  const bound = credential.certificate;
  const taking = useMutation({
    mutationFn: () =>
      ok(api.DELETE("/v1/credentials/{id}/certificate", { params: { path: { id: credential.id } } })),
    onSuccess: () => {
      done("The certificate is unbound");
      return client.invalidateQueries({ queryKey: ["credentials", credential.id] });
    },
  });
  return (
    <Card
      title="Client certificate"
      actions={
        manages && (
          <div className={css.buttons}>
            {bound && (
              <Button size="xs" variant="default" onClick={unbind.open}>
                Unbind
              </Button>
            )}
            <Button size="xs" variant="default" onClick={bind.open}>
              {bound ? "Bind another" : "Bind a certificate"}
            </Button>
          </div>
        )
      }
    >
      {bound ? (
        <Facts
          rows={[
            bound.fingerprint
              ? ["SHA-256", <CopyValue key="f" text={bound.fingerprint} label="fingerprint" />]
              : ["Subject", <CopyValue key="s" text={bound.subject ?? ""} label="subject" />],
          ]}
        />
      ) : (
        <p className={css.none}>
          None is bound: it comes with its password. With one, a device may connect over TLS without a
          password.
        </p>
      )}
      <Modal
        opened={binding}
        onClose={bind.close}
        title="Bind a client certificate"
        closeButtonProps={{ "aria-label": "Close" }}
      >
        <BindForm credential={credential} replaces={Boolean(bound)} onClose={bind.close} />
      </Modal>
      <ConfirmByName
        opened={unbinding}
        onClose={unbind.close}
        title="Unbind the certificate?"
        action="Unbind"
        run={() => taking.mutateAsync()}
      >
        Sessions that came by it end within a second. The password goes on to hold.
      </ConfirmByName>
    </Card>
  );
}

const WAYS = [
  { value: "pem", label: "Certificate" },
  { value: "fingerprint", label: "SHA-256" },
  { value: "subject", label: "Subject" },
];
type Way = "pem" | "fingerprint" | "subject";

function BindForm({
  credential,
  replaces,
  onClose,
}: {
  credential: CredentialView;
  replaces: boolean;
  onClose: () => void;
}) {
  const client = useQueryClient();
  const [way, setWay] = useState<Way>("pem");
  const [given, setGiven] = useState<Record<Way, string>>({ pem: "", fingerprint: "", subject: "" });
  const binding = useMutation({
    mutationFn: () =>
      ok(
        api.POST("/v1/credentials/{id}/certificate", {
          params: { path: { id: credential.id } },
          body: { [way]: given[way].trim() },
        }),
      ),
    meta: { shown: true },
    onSuccess: () => {
      done("The certificate is bound", {
        words: "Over TLS the device may come with it, and without a password.",
      });
      onClose();
      return client.invalidateQueries({ queryKey: ["credentials", credential.id] });
    },
  });
  const problem = binding.error && asProblem(binding.error);
  const said = problem?.of(way) ?? (problem?.code === "certificate.invalid" ? problem.detail : undefined);
  const set = (value: string) => setGiven({ ...given, [way]: value });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    binding.mutate();
  };
  return (
    <form onSubmit={submit} className={list.form}>
      <SegmentedControl
        aria-label="What is bound"
        fullWidth
        data={WAYS}
        value={way}
        onChange={(next) => {
          setWay(next as Way);
          binding.reset();
        }}
      />
      {way === "pem" && (
        <PemField
          wants="certificate"
          label="Certificate"
          description="In PEM form, without its key. Of it only the SHA-256 is kept."
          placeholder="-----BEGIN CERTIFICATE-----"
          value={given.pem}
          onChange={set}
          error={said}
        />
      )}
      {way === "fingerprint" && (
        <TextInput
          label="SHA-256 fingerprint"
          description="64 hexadecimal digits, with or without colons, as openssl x509 -noout -fingerprint -sha256 prints it."
          value={given.fingerprint}
          onChange={(event) => set(event.currentTarget.value)}
          error={said}
          classNames={{ input: "mono" }}
        />
      )}
      {way === "subject" && (
        <TextInput
          label="Subject"
          description="After RFC 4514. It lets every certificate of that name in which the broker's authority has signed: also the next one."
          placeholder="CN=boiler-7,O=Acme"
          value={given.subject}
          onChange={(event) => set(event.currentTarget.value)}
          error={said}
          classNames={{ input: "mono" }}
        />
      )}
      <p className={css.none}>
        The broker must trust who signed it.
        {replaces && " Sessions that came by the one before end within a second."}
      </p>
      {problem && !said && <ProblemAlert error={problem} />}
      <Button type="submit" fullWidth loading={binding.isPending} disabled={!given[way].trim()}>
        Bind
      </Button>
    </form>
  );
}
