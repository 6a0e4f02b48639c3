import { Button, Modal, NumberInput, Select, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { asProblem } from "@/api/problem";
import type { AlertRuleView } from "@/api/schema";
import { ProblemAlert } from "@/ui/Feedback";
import css from "@/ui/List.module.css";
import { done } from "@/ui/toasts";
import { ConditionFields, ScopeFields } from "./ConditionFields";
import { BEGIN, bodyOf, type Form, formOf, ofDevices } from "./form";
import { RulePreview } from "./RulePreview";
import { KINDS, type Kind, type Severity } from "./words";

interface DialogProps {
  /** The rule that is changed; `new` for another one, undefined for none. */
  rule: AlertRuleView | "new" | undefined;
  onClose: () => void;
  onSaved: () => void;
}

/** A rule in words and numbers, and beside it what it would have done. */
export function RuleDialog({ rule, onClose, onSaved }: DialogProps) {
  const held = rule === "new" ? undefined : rule;
  return (
    <Modal
      opened={rule !== undefined}
      onClose={onClose}
      size="xl"
      title={held ? `Change ${held.name}` : "New alert rule"}
      closeButtonProps={{ "aria-label": "Close" }}
    >
      {rule !== undefined && <RuleForm key={held?.id} held={held} onSaved={onSaved} />}
    </Modal>
  );
}

function RuleForm({ held, onSaved }: { held?: AlertRuleView; onSaved: () => void }) {
  const client = useQueryClient();
  const [form, setForm] = useState<Form>(() => (held ? formOf(held) : BEGIN));
  const set = (change: Partial<Form>) => setForm((before) => ({ ...before, ...change }));
  const saving = useMutation({
    mutationFn: (wanted: Form) => {
      const body = bodyOf(wanted, held);
      if (!held) return ok(api.POST("/v1/alert-rules", { body }));
      return ok(api.PATCH("/v1/alert-rules/{id}", { params: { path: { id: held.id } }, body }));
    },
    meta: { shown: true },
    onSuccess: (rule) => {
      done(`${rule.name} is judged from now on`);
      void client.invalidateQueries({ queryKey: ["alert-rules"] });
      void client.invalidateQueries({ queryKey: ["alerts"] });
      onSaved();
    },
  });
  const problem = saving.error && asProblem(saving.error);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    saving.mutate(form);
  };
  return (
    <form onSubmit={submit} className={css.form}>
      <TextInput
        label="Name"
        placeholder="Boiler too hot"
        required
        maxLength={100}
        data-autofocus
        value={form.name}
        onChange={(event) => set({ name: event.currentTarget.value })}
      />
      <div className={css.row}>
        <Select
          label="When"
          data={Object.entries(KINDS).map(([value, label]) => ({ value, label }))}
          disabled={held?.built_in}
          value={form.kind}
          onChange={(value) => value && set({ kind: value as Kind })}
        />
        <Select
          label="Severity"
          data={["info", "warning", "critical"]}
          value={form.severity}
          onChange={(value) => value && set({ severity: value as Severity })}
        />
        <NumberInput
          label="Quiet after it, in seconds"
          min={0}
          max={604_800}
          value={form.cooldown_s}
          onChange={(value) => set({ cooldown_s: Number(value) || 0 })}
        />
      </div>
      <ConditionFields form={form} set={set} />
      {ofDevices(form.kind) && <ScopeFields form={form} set={set} />}
      <RulePreview form={form} held={held} />
      {held && (
        <p className={css.under}>
          Where what it looks for changes, its open alerts are resolved, and it begins anew.
        </p>
      )}
      {problem && <ProblemAlert error={problem} />}
      <Button type="submit" fullWidth loading={saving.isPending}>
        {held ? "Save" : "Create"}
      </Button>
    </form>
  );
}
