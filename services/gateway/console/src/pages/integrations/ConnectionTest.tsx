import { Button } from "@mantine/core";
import { Check, LoaderCircle, X } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { told } from "@/api/client";
import { asProblem, type Problem } from "@/api/problem";
import type { Step } from "@/api/schema";
import { ProblemAlert } from "@/ui/Feedback";
import css from "./ConnectionTest.module.css";

const WORDS: Record<string, string> = {
  dns: "Find the address",
  address: "Is the address allowed?",
  tcp: "Connect",
  tls: "TLS",
  websocket: "WebSocket",
  mqtt: "MQTT: sign in",
  subscribe: "Subscribe",
  probe: "A message there and back",
};

interface ConnectionTestProps {
  address: string;
  body: () => unknown;
  onProblem?: (problem: Problem | null) => void;
  disabled?: boolean;
}

/** Each step as it happens, with what was seen; where one fails, its code and the one thing to do next. */
export function ConnectionTest({ address, body, onProblem, disabled }: ConnectionTestProps) {
  const [steps, setSteps] = useState<Step[]>([]);
  const [state, setState] = useState<"idle" | "running" | "passed" | "failed">("idle");
  const [problem, setProblem] = useState<Problem | null>(null);
  const abort = useRef<AbortController | null>(null);
  useEffect(() => () => abort.current?.abort(), []);
  const run = async () => {
    abort.current?.abort();
    abort.current = new AbortController();
    setSteps([]);
    setProblem(null);
    onProblem?.(null);
    setState("running");
    try {
      await told(
        address,
        body(),
        ({ event, data }) => {
          if (event === "step") setSteps((before) => [...before, data as Step]);
          else if (event === "result") setState((data as { ok: boolean }).ok ? "passed" : "failed");
          else if (event === "problem") throw asProblem(data);
        },
        abort.current.signal,
      );
    } catch (error) {
      if (abort.current.signal.aborted) return;
      const found = asProblem(error);
      setProblem(found);
      onProblem?.(found);
      setState("failed");
    }
  };
  return (
    <div className={css.test}>
      <Button variant="default" onClick={() => void run()} loading={state === "running"} disabled={disabled}>
        Test the connection
      </Button>
      <ol className={css.steps} aria-live="polite">
        {steps.map((step, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: steps only come
          <li key={index} className={`${css.step} ${step.ok ? css.ok : css.failed}`}>
            <span className={css.sign} aria-hidden>
              {step.ok ? <Check size={14} strokeWidth={2.8} /> : <X size={14} strokeWidth={2.8} />}
            </span>
            <div className={css.words}>
              <div className={css.head}>
                <strong>{WORDS[step.name] ?? step.name}</strong>
                {step.topic && <code className="mono break">{step.topic.filter}</code>}
                <span className={css.took}>
                  {step.duration_ms < 1 ? "<1" : Math.round(step.duration_ms)} ms
                </span>
              </div>
              <div className={css.seen}>{step.seen}</div>
              {step.next_action && (
                <div className={css.next}>
                  {step.next_action} <span className="mono">{step.code}</span>
                </div>
              )}
            </div>
          </li>
        ))}
        {state === "running" && (
          <li className={`${css.step} ${css.running}`}>
            <span className={css.sign} aria-hidden>
              <LoaderCircle size={14} />
            </span>
            <div className={css.words}>Next step…</div>
          </li>
        )}
      </ol>
      {state === "passed" && <p className={css.passed}>The connection works.</p>}
      {problem && problem.errors.length === 0 && <ProblemAlert error={problem} />}
    </div>
  );
}
